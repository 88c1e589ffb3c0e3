-- The first schema: characters and their models, jobs, the outbox, schedules.
-- Times are UTC, ISO 8601 with microseconds and +00:00, so that text order is time order. Discord ids are INTEGER snowflakes.
-- AUTOINCREMENT stands where an id also names something outside its table (a folder, a button, a dedupe key): it is never given twice.

CREATE TABLE facts (
    key   TEXT PRIMARY KEY, -- such as 'commands_hash': the command tree last synced with Discord
    value TEXT NOT NULL     -- its value
) STRICT;

CREATE TABLE characters (
    id              INTEGER PRIMARY KEY AUTOINCREMENT, -- also names the folder models/<id>
    guild_id        INTEGER NOT NULL,    -- the server it belongs to; 0 = trained at the shell, heard in every server
    handle          TEXT NOT NULL,       -- whose tweets, normalised: no @, lower case
    name            TEXT NOT NULL,       -- display name, without the AI label
    active_model_id INTEGER REFERENCES models (id) ON DELETE SET NULL, -- the version that speaks; NULL until one is trained
    created_by      INTEGER NOT NULL,    -- Discord user id; 0 = the shell
    created_at      TEXT NOT NULL        -- when it was first asked for
) STRICT;
CREATE UNIQUE INDEX characters_by_handle ON characters (guild_id, handle);

CREATE TABLE corpora (
    id             INTEGER PRIMARY KEY AUTOINCREMENT, -- also names the file corpora/<id>.jsonl
    character_id   INTEGER NOT NULL REFERENCES characters (id) ON DELETE CASCADE, -- whose
    file_name      TEXT NOT NULL,       -- as it was uploaded, for people
    downloaded     INTEGER NOT NULL,    -- tweets in the file
    retweets       INTEGER NOT NULL,    -- of these, somebody else's words
    short          INTEGER NOT NULL,    -- of the rest, too short to learn from
    kept           INTEGER NOT NULL,    -- downloaded - retweets - short
    duplicates     INTEGER NOT NULL,    -- of the kept, told before
    cut            INTEGER NOT NULL,    -- of the kept, cut with an ellipsis by the API
    characters     INTEGER NOT NULL,    -- in the kept texts, each taught text once
    first_tweet_at TEXT,                -- oldest tweet, NULL where the file has no dates
    last_tweet_at  TEXT,                -- newest tweet, NULL where the file has no dates
    dataset_sha256 TEXT NOT NULL,       -- fingerprint of the cleaned, ordered texts
    warning        TEXT,                -- a sentence about it for people, such as that it is little text
    created_at     TEXT NOT NULL,       -- when it was read
    CHECK (kept = downloaded - retweets - short)
) STRICT;
CREATE INDEX corpora_by_character ON corpora (character_id);

CREATE TABLE models (
    id            INTEGER PRIMARY KEY AUTOINCREMENT, -- buttons name it
    character_id  INTEGER NOT NULL REFERENCES characters (id) ON DELETE CASCADE, -- who it makes speak
    version       INTEGER NOT NULL, -- 1, 2, … per character
    base          TEXT NOT NULL,    -- the pretrained model under it: nano or the folder of the base
    base_name     TEXT NOT NULL,    -- the base as people call it, such as gpt2
    recipe        TEXT NOT NULL CHECK (json_valid(recipe)), -- JSON: every hyper-parameter
    corpus_id     INTEGER NOT NULL REFERENCES corpora (id), -- what it was taught
    job_id        INTEGER NOT NULL REFERENCES jobs (id),    -- which made it
    heldout_base  REAL NOT NULL,    -- held-out loss of the base, nats per token
    heldout_model REAL NOT NULL,    -- held-out loss of this model, nats per token
    steps         INTEGER NOT NULL, -- optimiser steps to the kept weights
    seconds       REAL NOT NULL,    -- wall time of the attempt that made it
    files         TEXT NOT NULL CHECK (json_valid(files)),   -- JSON: file in models/<character_id>/v<version> → SHA-256
    samples       TEXT NOT NULL CHECK (json_valid(samples)), -- JSON: screened texts to show when it is new
    created_at    TEXT NOT NULL,    -- when it was published
    UNIQUE (character_id, version)
) STRICT;
CREATE INDEX models_by_corpus ON models (corpus_id);
CREATE INDEX models_by_job ON models (job_id);

CREATE TABLE jobs (
    id            INTEGER PRIMARY KEY AUTOINCREMENT, -- also names the folder jobs/<id>
    guild_id      INTEGER NOT NULL,    -- where it was asked for; 0 = the shell
    channel_id    INTEGER NOT NULL,    -- where its result is told; 0 = the shell
    user_id       INTEGER NOT NULL,    -- who asked; 0 = the shell
    handle        TEXT NOT NULL,       -- whose tweets
    source_path   TEXT NOT NULL,       -- file with the tweets; removed with the job's end if it lies under MYNAH_HOME/uploads
    file_name     TEXT NOT NULL,       -- as it was uploaded, for people
    base          TEXT NOT NULL,       -- nano or the folder of the base
    base_name     TEXT NOT NULL,       -- as people call it
    seed          INTEGER NOT NULL,    -- of everything random in the training
    state         TEXT NOT NULL CHECK (state IN ('queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled')), -- waiting = for room on the disk
    dedupe_key    TEXT NOT NULL UNIQUE, -- interaction:<id>: the same interaction delivered twice is one job
    attempt       INTEGER NOT NULL DEFAULT 0, -- counted at the claim
    charged       INTEGER NOT NULL DEFAULT 0, -- attempts that count towards max_attempts: a restart of the bot does not
    max_attempts  INTEGER NOT NULL DEFAULT 3, -- it fails for good when this many are charged
    owner         TEXT,                -- boot id of the bot that runs it; NULL while it does not run
    progress      TEXT CHECK (progress IS NULL OR json_valid(progress)), -- JSON of the newest Progress
    reason        TEXT,                -- why it failed or waits: one sentence for the person
    message_id    INTEGER,             -- the message in the channel that shows its progress
    model_id      INTEGER REFERENCES models (id) ON DELETE SET NULL, -- what it made
    created_at    TEXT NOT NULL,       -- when it was asked for
    started_at    TEXT,                -- when the newest attempt was claimed
    waiting_since TEXT,                -- when it began to wait, NULL while it does not
    finished_at   TEXT                 -- when it ended, NULL while it is open
) STRICT;
-- The same character asked twice joins the job that is under way.
CREATE UNIQUE INDEX jobs_one_per_character ON jobs (guild_id, handle) WHERE state IN ('queued', 'running', 'waiting');
CREATE INDEX jobs_by_state ON jobs (state, id);
CREATE INDEX jobs_by_guild ON jobs (guild_id, started_at);
CREATE INDEX jobs_by_model ON jobs (model_id);

CREATE TABLE job_events (
    id     INTEGER PRIMARY KEY, -- in the order they happened
    job_id INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, -- to which job
    at     TEXT NOT NULL, -- when
    event  TEXT NOT NULL, -- queued, joined, claimed, adopted, given back, waiting, attempt failed, attempt lost, succeeded, failed, cancelled
    detail TEXT           -- who or why
) STRICT;
CREATE INDEX job_events_by_job ON job_events (job_id);

CREATE TABLE schedules (
    id           INTEGER PRIMARY KEY AUTOINCREMENT, -- part of its posts' dedupe keys
    guild_id     INTEGER NOT NULL, -- the server it belongs to
    channel_id   INTEGER NOT NULL, -- where it posts
    character_id INTEGER NOT NULL REFERENCES characters (id) ON DELETE CASCADE, -- who posts
    cron         TEXT NOT NULL,    -- five fields, as cronsim reads them
    zone         TEXT NOT NULL,    -- IANA time zone in which the cron line is meant
    prompt       TEXT NOT NULL,    -- how each post begins; may be empty
    policy       TEXT NOT NULL CHECK (policy IN ('once', 'skip')), -- what a slot missed by more than the grace gets: one late post, or none
    grace_s      INTEGER NOT NULL, -- a slot missed by no more than these seconds is posted under either policy
    next_at      TEXT NOT NULL,    -- the next slot
    created_by   INTEGER NOT NULL, -- Discord user id
    created_at   TEXT NOT NULL     -- when it was added
) STRICT;
CREATE INDEX schedules_by_next ON schedules (next_at);
CREATE INDEX schedules_by_guild ON schedules (guild_id);
CREATE INDEX schedules_by_character ON schedules (character_id);

CREATE TABLE posts (
    id           INTEGER PRIMARY KEY AUTOINCREMENT, -- buttons name it
    dedupe_key   TEXT NOT NULL UNIQUE, -- interaction:<id>:<n>, schedule:<id>:<slot>, job:<id>:result
    kind         TEXT NOT NULL CHECK (kind IN ('say', 'schedule', 'result')), -- what called for it
    guild_id     INTEGER NOT NULL, -- in which server
    channel_id   INTEGER NOT NULL, -- where it goes
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
    message_id   INTEGER,          -- in the channel, once sent
    error        TEXT,             -- why it failed or is unknown
    created_by   INTEGER NOT NULL, -- Discord user id; 0 = Mynah
    created_at   TEXT NOT NULL,    -- when it was called for
    sending_at   TEXT,             -- written before the request leaves
    sent_at      TEXT              -- when Discord had it
) STRICT;
CREATE INDEX posts_by_state ON posts (state, id);
CREATE INDEX posts_by_character ON posts (character_id, id);
CREATE INDEX posts_by_model ON posts (model_id);
CREATE INDEX posts_by_job ON posts (job_id);
CREATE INDEX posts_by_schedule ON posts (schedule_id);

CREATE TABLE webhooks (
    channel_id INTEGER PRIMARY KEY, -- one webhook for each channel
    webhook_id INTEGER NOT NULL, -- its id at Discord
    token      TEXT NOT NULL,    -- lets its holder post in the channel: a secret
    created_at TEXT NOT NULL     -- when it was found or made
) STRICT;
