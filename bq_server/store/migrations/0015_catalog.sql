-- How much of an environment is in the catalogue, and what is left out because there is enough in it.
CREATE TABLE catalog_totals (
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    -- Rows of event_names and of event_properties.
    names INTEGER NOT NULL,
    properties INTEGER NOT NULL,
    -- Events whose name, and values whose property, is not in the catalogue.
    events_left_out INTEGER NOT NULL DEFAULT 0,
    properties_left_out INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (project, environment)
) WITHOUT ROWID;
INSERT INTO catalog_totals (project, environment, names, properties)
SELECT project, environment, count(*), 0 FROM event_names GROUP BY project, environment;
UPDATE catalog_totals SET properties = (
    SELECT count(*) FROM event_properties
    WHERE event_properties.project = catalog_totals.project
        AND event_properties.environment = catalog_totals.environment
);

-- By which similar names are found, see `similarity.py`; NULL until the name was looked at.
ALTER TABLE event_names ADD COLUMN plain TEXT;
ALTER TABLE event_names ADD COLUMN form TEXT;
CREATE INDEX event_names_not_indexed ON event_names (project) WHERE plain IS NULL;
CREATE INDEX event_names_by_plain ON event_names (project, environment, plain);
CREATE INDEX event_names_by_form ON event_names (project, environment, form);

CREATE TABLE event_forms (
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    variant TEXT NOT NULL,
    form TEXT NOT NULL,
    PRIMARY KEY (project, environment, variant, form)
) WITHOUT ROWID;
