-- The messages in which trainings are asked about.

ALTER TABLE requests ADD COLUMN
    message_id INTEGER; -- the reply to the command: it names the account, so it goes when that is forgotten; NULL = not known
