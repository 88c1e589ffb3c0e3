-- Where tweets come from besides files, whose they are, and what people have said about that.

ALTER TABLE characters ADD COLUMN
    handles    TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(handles)); -- JSON list: whose tweets it learned from; a mash-up has two or three
ALTER TABLE characters ADD COLUMN
    avatar_url TEXT; -- the account's picture, where its source names one
ALTER TABLE characters ADD COLUMN
    silenced   TEXT; -- why it may not speak: one sentence for people; NULL = it may
UPDATE characters SET handles = json_array(handle);

ALTER TABLE jobs ADD COLUMN
    materials  TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(materials)); -- JSON list of Material; [] = the one file in source_path, of handle
ALTER TABLE jobs ADD COLUMN
    multilingual TEXT; -- name of the base to take instead when the tweets are not English; NULL = base whatever the language
ALTER TABLE jobs ADD COLUMN
    retry_at   TEXT; -- a waiting job is not tried again before; NULL = after the usual while

ALTER TABLE corpora ADD COLUMN
    language   TEXT; -- ISO 639 code of most of the kept texts; NULL = not known

ALTER TABLE posts ADD COLUMN
    handle     TEXT; -- whose words they are, once their character is gone; NULL = character_id says
ALTER TABLE posts ADD COLUMN
    erasure_id INTEGER REFERENCES erasures (id); -- forgotten while it was on its way: once its message is known, that goes too, and this row

-- Who said what about whose tweets they are, before anything was trained on them.
CREATE TABLE consents (
    id         INTEGER PRIMARY KEY, -- in the order they were given
    guild_id   INTEGER NOT NULL, -- in which server; 0 = the shell
    channel_id INTEGER NOT NULL, -- in which channel; 0 = the shell
    user_id    INTEGER NOT NULL, -- Discord user who says so; 0 = the operator
    handle     TEXT NOT NULL,    -- whose tweets
    basis      TEXT NOT NULL CHECK (basis IN ('own', 'agreed', 'public', 'operator')), -- my account · its owner agreed · an organisation, a bot or a fictional character · said at the shell without more
    job_id     INTEGER REFERENCES jobs (id) ON DELETE SET NULL, -- for which training
    given_at   TEXT NOT NULL     -- when
) STRICT;
CREATE INDEX consents_by_handle ON consents (handle);
CREATE INDEX consents_by_user ON consents (user_id);
CREATE INDEX consents_by_job ON consents (job_id);

-- Trainings that were asked for and may not begin yet.
CREATE TABLE requests (
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- buttons name it
    guild_id   INTEGER NOT NULL, -- in which server
    channel_id INTEGER NOT NULL, -- where it was asked for, and its result is told
    user_id    INTEGER NOT NULL, -- who asks
    handle     TEXT NOT NULL,    -- of the character
    training   TEXT NOT NULL CHECK (json_valid(training)), -- JSON of the Training
    basis      TEXT CHECK (basis IN ('own', 'agreed', 'public')), -- what entitles them, as they say; NULL = they have not said yet
    state      TEXT NOT NULL CHECK (state IN ('asked', 'approval', 'accepted', 'denied', 'withdrawn', 'expired')), -- asked = its member has to say or confirm something; approval = a manager has to
    dedupe_key TEXT NOT NULL UNIQUE, -- interaction:<id>; the job that comes of it has the same
    decided_by INTEGER,          -- Discord user who approved or denied it
    created_at TEXT NOT NULL,    -- when it was asked for
    ended_at   TEXT              -- when it was accepted, denied, withdrawn or expired; NULL = it is open
) STRICT;
CREATE INDEX requests_by_state ON requests (state, id);
CREATE INDEX requests_by_user ON requests (user_id);

-- What the managers of a server have set.
CREATE TABLE guilds (
    guild_id           INTEGER PRIMARY KEY, -- the server
    moderation_channel INTEGER,          -- where approvals are asked for and reports are told; NULL = none
    approval           INTEGER NOT NULL DEFAULT 0 CHECK (approval IN (0, 1)), -- 1 = every training needs a manager's approval
    set_by             INTEGER NOT NULL, -- Discord user who set it last
    set_at             TEXT NOT NULL     -- when
) STRICT;

-- Accounts that nobody may train on, in every server. Only a digest is kept: the name can be compared and not read.
CREATE TABLE opt_outs (
    digest     TEXT PRIMARY KEY, -- hex of scrypt of the handle, salted with one of the fact 'privacy_salts'
    user_id    INTEGER NOT NULL, -- Discord user who asked for it, and may take it back; 0 = the operator
    created_at TEXT NOT NULL     -- when
) STRICT;

-- What was forgotten, so that it stays so after a restore, and what is still to be deleted at Discord for it.
CREATE TABLE erasures (
    id          INTEGER PRIMARY KEY AUTOINCREMENT, -- the number on the receipt
    digest      TEXT NOT NULL,    -- of the handle, as in opt_outs; of 'user:<id>' for a Discord user
    guild_id    INTEGER NOT NULL, -- where it was asked for; 0 = the shell
    user_id     INTEGER NOT NULL, -- who asked for it; 0 = the operator
    statement   TEXT NOT NULL,    -- why they may: own, operator; manager = in their server only
    receipt     TEXT NOT NULL CHECK (json_valid(receipt)), -- JSON: what was deleted, as numbers; no names, no texts
    todo        TEXT CHECK (todo IS NULL OR json_valid(todo)), -- JSON: folders that may still be there, by their numbers; NULL = they are gone, and the copies are clean
    created_at  TEXT NOT NULL,    -- when it was asked for
    finished_at TEXT              -- when the last message had been tried; NULL = some are left
) STRICT;
CREATE INDEX erasures_by_digest ON erasures (digest);

CREATE TABLE erasure_messages (
    erasure_id INTEGER NOT NULL REFERENCES erasures (id) ON DELETE CASCADE, -- for which
    channel_id INTEGER NOT NULL, -- where the message stands
    message_id INTEGER NOT NULL, -- which; below 0: that of a post (the number without the sign) that nobody can find
    recipient_id INTEGER,        -- Discord user to whom it went alone (channel_id is 0 then); NULL = it stands in the channel
    state      TEXT NOT NULL CHECK (state IN ('due', 'gone', 'unreachable')), -- unreachable = the channel or the right to delete in it is gone
    PRIMARY KEY (erasure_id, channel_id, message_id)
) STRICT;
CREATE INDEX erasure_messages_by_state ON erasure_messages (state);

-- What members told the managers about a post or a character.
CREATE TABLE reports (
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- for people to name it
    guild_id   INTEGER NOT NULL, -- in which server
    channel_id INTEGER NOT NULL, -- where it was made
    user_id    INTEGER NOT NULL, -- who reports
    handle     TEXT,             -- which character; NULL = it is about a post whose character is gone
    post_id    INTEGER REFERENCES posts (id) ON DELETE SET NULL, -- which post; NULL = the character as a whole
    reason     TEXT NOT NULL,    -- in their words
    created_at TEXT NOT NULL     -- when
) STRICT;
CREATE INDEX reports_by_guild ON reports (guild_id);
CREATE INDEX reports_by_post ON reports (post_id);

-- What X charged for, by month.
CREATE TABLE spending (
    month TEXT PRIMARY KEY, -- such as 2026-11, UTC
    posts INTEGER NOT NULL, -- posts that were read
    users INTEGER NOT NULL, -- accounts that were read
    usd   REAL NOT NULL     -- at the prices set when they were read, US dollars
) STRICT;
