-- What each account of a mash-up gave.

ALTER TABLE corpora ADD COLUMN
    shares     TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(shares)); -- JSON list of Share, one for each account; [] = not known
