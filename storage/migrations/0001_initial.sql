-- The first schema: characters and their models, jobs, the outbox, schedules.
-- Ids are never used again (AUTOINCREMENT): folders, buttons and caches are named by them.
-- Times are UTC, ISO 8601 with microseconds and +00:00, so that text order is time order. Discord ids are INTEGER snowflakes.

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
    last_tweet_at  TEXT,                -- newest tweet
    dataset_sha256 TEXT NOT NULL,       -- fingerprint of the cleaned, ordered texts
    created_at     TEXT NOT NULL,       -- when it was read
    CHECK (kept = downloaded - retweets - short)
) STRICT;

CREATE TABLE models (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    character_id  INTEGER NOT NULL REFERENCES characters (id) ON DELETE CASCADE, -- who it makes speak
    version       INTEGER NOT NULL, -- 1, 2, … per character
    base          TEXT NOT NULL,    -- the pretrained model under it, such as nano or gpt2
    recipe        TEXT NOT NULL,    -- JSON: every hyper-parameter
    corpus_id     INTEGER NOT NULL REFERENCES corpora (id), -- what it was taught
    job_id        INTEGER NOT NULL REFERENCES jobs (id),    -- which made it
    heldout_base  REAL NOT NULL,    -- held-out loss of the base, nats per token
    heldout_model REAL NOT NULL,    -- held-out loss of this model, nats per token
    steps         INTEGER NOT NULL, -- optimiser steps to the kept weights
    seconds       REAL NOT NULL,    -- wall time of the attempt that made it
    files         TEXT NOT NULL,    -- JSON: file in models/<character_id>/v<version> → SHA-256
    created_at    TEXT NOT NULL,
    UNIQUE (character_id, version)
) STRICT;

CREATE TABLE jobs (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    guild_id     INTEGER NOT NULL,    -- where it was asked for; 0 = the shell
    channel_id   INTEGER NOT NULL,    -- where its result is told; 0 = the shell
    user_id      INTEGER NOT NULL,    -- who asked; 0 = the shell
    handle       TEXT NOT NULL,       -- whose tweets
    source_path  TEXT NOT NULL,       -- file with the tweets, under MYNAH_HOME unless given at the shell; removed with the job's end if uploaded
    file_name    TEXT NOT NULL,       -- as it was uploaded, for people
    base         TEXT NOT NULL,       -- nano or the folder of the base
    base_name    TEXT NOT NULL,       -- as people call it
    seed         INTEGER NOT NULL,    -- of everything random in the training
    state        TEXT NOT NULL CHECK (state IN ('queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled')),
    dedupe_key   TEXT NOT NULL UNIQUE, -- interaction:<id>: the same interaction delivered twice is one job
    attempt      INTEGER NOT NULL DEFAULT 0, -- counted at the claim
    charged      INTEGER NOT NULL DEFAULT 0, -- attempts that count towards max_attempts: a restart of the bot does not
    max_attempts INTEGER NOT NULL DEFAULT 3,
    owner        TEXT,                -- boot id of the bot that runs it
    progress     TEXT,                -- JSON of the newest Progress
    reason       TEXT,                -- why it failed or waits: one sentence for the person
    message_id   INTEGER,             -- the message in the channel that shows its progress
    model_id     INTEGER REFERENCES models (id) ON DELETE SET NULL, -- what it made
    created_at   TEXT NOT NULL,
    started_at   TEXT,                -- of the newest attempt
    finished_at  TEXT
) STRICT;
-- The same character asked twice joins the job that is under way.
CREATE UNIQUE INDEX jobs_one_per_character ON jobs (guild_id, handle) WHERE state IN ('queued', 'running', 'waiting');
CREATE INDEX jobs_by_state ON jobs (state, id);

CREATE TABLE job_events (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    at     TEXT NOT NULL, -- when
    event  TEXT NOT NULL, -- queued, joined, claimed, succeeded, failed, cancelled, preempted, waiting, …
    detail TEXT           -- who or why
) STRICT;
CREATE INDEX job_events_by_job ON job_events (job_id);

CREATE TABLE schedules (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    guild_id     INTEGER NOT NULL,
    channel_id   INTEGER NOT NULL, -- where it posts
    character_id INTEGER NOT NULL REFERENCES characters (id) ON DELETE CASCADE, -- who posts
    cron         TEXT NOT NULL,    -- five fields, as cronsim reads them
    zone         TEXT NOT NULL,    -- IANA time zone in which the cron line is meant
    prompt       TEXT NOT NULL,    -- how each post begins; may be empty
    policy       TEXT NOT NULL CHECK (policy IN ('once', 'skip')), -- what happens to a slot missed by more than the grace
    grace_s      INTEGER NOT NULL, -- a slot missed by less than this is still posted
    next_at      TEXT NOT NULL,    -- the next slot, UTC
    created_by   INTEGER NOT NULL, -- Discord user id
    created_at   TEXT NOT NULL
) STRICT;
CREATE INDEX schedules_by_next ON schedules (next_at);

CREATE TABLE posts (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    dedupe_key   TEXT NOT NULL UNIQUE, -- interaction:<id>:<n>, schedule:<id>:<slot>, job:<id>:result
    kind         TEXT NOT NULL CHECK (kind IN ('say', 'schedule', 'result')),
    guild_id     INTEGER NOT NULL,
    channel_id   INTEGER NOT NULL, -- where it goes
    state        TEXT NOT NULL CHECK (state IN ('due', 'pending', 'sending', 'sent', 'failed', 'unknown', 'deleted')),
    message      TEXT,             -- JSON of the Message; NULL while 'due' (a slot that has not been spoken yet)
    nonce        TEXT NOT NULL,    -- stable, 25 characters at most: Discord drops a second message with it
    character_id INTEGER REFERENCES characters (id) ON DELETE SET NULL, -- who speaks
    model_id     INTEGER REFERENCES models (id) ON DELETE SET NULL,     -- with which version
    job_id       INTEGER REFERENCES jobs (id) ON DELETE SET NULL,       -- whose result it tells
    schedule_id  INTEGER REFERENCES schedules (id) ON DELETE SET NULL,  -- which called for it
    prompt       TEXT,             -- how it was told to begin
    seed         INTEGER,          -- gives the same text again
    text         TEXT,             -- what the character says, without the label
    why          TEXT,             -- JSON: what was dropped and why, nearest real tweet and its overlap
    message_id   INTEGER,          -- in the channel, once sent
    error        TEXT,             -- why it failed
    created_by   INTEGER NOT NULL, -- Discord user id; 0 = Mynah
    created_at   TEXT NOT NULL,
    sending_at   TEXT,             -- written before the request leaves
    sent_at      TEXT
) STRICT;
CREATE INDEX posts_by_state ON posts (state, id);
CREATE INDEX posts_by_character ON posts (character_id, id);

CREATE TABLE webhooks (
    channel_id INTEGER PRIMARY KEY,
    webhook_id INTEGER NOT NULL,
    token      TEXT NOT NULL, -- lets its holder post in the channel: a secret
    created_at TEXT NOT NULL
) STRICT;
