-- What is told of a participant is found without a look at what is told of all others.
CREATE INDEX webhook_deliveries_of_anyone ON webhook_deliveries (participant_id, position);
CREATE INDEX notices_of_participant ON notices (participant_id) WHERE participant_id IS NOT NULL;
