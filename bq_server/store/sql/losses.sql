-- name: account(place)^
SELECT epoch, appended, settled, lost, oldest, newest, final FROM stream_account WHERE place = :place;

-- name: put_account(place, epoch, appended, settled, lost, oldest, newest, final)!
INSERT INTO stream_account (place, epoch, appended, settled, lost, oldest, newest, final)
VALUES (:place, :epoch, :appended, :settled, :lost, :oldest, :newest, :final)
ON CONFLICT (place) DO UPDATE SET
    epoch = excluded.epoch,
    appended = excluded.appended,
    settled = excluded.settled,
    lost = excluded.lost,
    oldest = excluded.oldest,
    newest = excluded.newest,
    final = excluded.final;

-- name: remove_account()!
DELETE FROM stream_account;

-- name: losses()
SELECT loss, noticed_at, what, messages, first, last, acknowledged_at FROM losses ORDER BY loss;

-- name: add_loss(noticed_at, what, messages, first, last)!
INSERT INTO losses (noticed_at, what, messages, first, last)
VALUES (:noticed_at, :what, :messages, :first, :last);

-- name: correct_newest_loss(messages)!
UPDATE losses SET messages = :messages WHERE loss = (SELECT max(newest.loss) FROM losses AS newest);

-- name: acknowledge(now)!
UPDATE losses SET acknowledged_at = :now WHERE acknowledged_at IS NULL;
