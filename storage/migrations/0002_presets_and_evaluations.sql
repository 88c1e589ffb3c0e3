-- How a training is meant, and how good the model that it made turned out.

ALTER TABLE jobs ADD COLUMN
    preset     TEXT NOT NULL DEFAULT 'default' CHECK (preset IN ('default', 'fast')); -- fast trains the top layers only

ALTER TABLE models ADD COLUMN
    evaluation TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(evaluation)); -- JSON of the figures on its card; {} where none were made
