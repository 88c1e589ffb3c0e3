-- Which job of a server goes first, what its time is learned from, and posts that ask or tell people about other posts.

ALTER TABLE jobs ADD COLUMN
    priority   INTEGER NOT NULL DEFAULT 0; -- among the queued jobs of one server the highest goes first; servers take turns all the same

ALTER TABLE jobs ADD COLUMN
    source_bytes INTEGER; -- size of the file with the tweets: how long a training takes is learned from those of like size; NULL = unknown

ALTER TABLE schedules ADD COLUMN
    jitter_s   INTEGER NOT NULL DEFAULT 0; -- a post comes up to so many seconds after its slot, the same after every restart

ALTER TABLE schedules ADD COLUMN
    quiet      TEXT; -- HH:MM-HH:MM in the schedule's zone: no post comes then; NULL = no hours are quiet

-- The outbox anew, since a CHECK cannot be changed: two more kinds, and for whom and about what they are.
ALTER TABLE posts RENAME TO posts_before;

CREATE TABLE posts (
    id           INTEGER PRIMARY KEY AUTOINCREMENT, -- buttons name it
    dedupe_key   TEXT NOT NULL UNIQUE, -- interaction:<id>:<n>, schedule:<id>:<slot>, job:<id>:result, post:<id>:question:…, post:<id>:notice
    kind         TEXT NOT NULL CHECK (kind IN ('say', 'schedule', 'result', 'question', 'notice')), -- what called for it
    guild_id     INTEGER NOT NULL, -- in which server
    channel_id   INTEGER NOT NULL, -- where it goes; 0 = to one person
    state        TEXT NOT NULL CHECK (state IN ('due', 'pending', 'sending', 'sent', 'failed', 'unknown', 'deleted')), -- due = not spoken yet
    message      TEXT CHECK (message IS NULL OR json_valid(message)), -- JSON of the Message; NULL while 'due'
    nonce        TEXT NOT NULL,    -- made from the dedupe key, 25 characters: Discord drops a second message with it
    character_id INTEGER REFERENCES characters (id) ON DELETE SET NULL, -- who speaks
    model_id     INTEGER REFERENCES models (id) ON DELETE SET NULL,     -- with which version
    job_id       INTEGER REFERENCES jobs (id) ON DELETE SET NULL,       -- whose result it tells
    schedule_id  INTEGER REFERENCES schedules (id) ON DELETE SET NULL,  -- which called for it
    prompt       TEXT,             -- how it was told to begin
    seed         INTEGER,          -- gives the same text again
    text         TEXT,             -- what the character says, without the label
    why          TEXT CHECK (why IS NULL OR json_valid(why)), -- JSON: what was dropped and why, nearest real tweet and its overlap
    message_id   INTEGER,          -- in the channel, once sent; NULL where a person said that it is there
    error        TEXT,             -- why it failed or is unknown
    created_by   INTEGER NOT NULL, -- Discord user id; 0 = Mynah
    created_at   TEXT NOT NULL,    -- when it was called for
    sending_at   TEXT,             -- written before the request leaves
    sent_at      TEXT,             -- when Discord had it
    recipient_id INTEGER,          -- Discord user to whom it goes alone; NULL = it goes to the channel
    about_id     INTEGER REFERENCES posts (id) ON DELETE CASCADE -- the post that a question or a notice is about
) STRICT;

INSERT INTO posts SELECT *, NULL, NULL FROM posts_before;
DELETE FROM sqlite_sequence WHERE name = 'posts';
UPDATE sqlite_sequence SET name = 'posts' WHERE name = 'posts_before';
DROP TABLE posts_before;
CREATE INDEX posts_by_state ON posts (state, id);
CREATE INDEX posts_by_character ON posts (character_id, id);
CREATE INDEX posts_by_model ON posts (model_id);
CREATE INDEX posts_by_job ON posts (job_id);
CREATE INDEX posts_by_schedule ON posts (schedule_id);
CREATE INDEX posts_about ON posts (about_id);
