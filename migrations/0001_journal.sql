-- The journal, version 1.
--
-- Tables are internal; the views at the end (v_file, v_asset, v_problem, v_run, v_history,
-- v_summary) are the contract with people and tools. Times are Unix seconds, UTC (*_at), or
-- milliseconds (*_ms). A time or NULL stands where others put a boolean.
--
-- Where there is a row for every photo, a CHECK of more than two words spells them out: for an IN of three or more
-- SQLite fills a table at each insert, which cost a fifth of a first listing.

-- One Apple account. next_allowed_at is Apple's own word: ask nothing before it.
CREATE TABLE account (
    account_id      INTEGER PRIMARY KEY,
    username        TEXT    NOT NULL UNIQUE,
    dsid            TEXT,
    next_allowed_at INTEGER,
    created_at      INTEGER NOT NULL,
    -- How the last attempt to sync ended, one too that never came to a run: when, with which exit
    -- code, and what was said. Serves `rollbook health`.
    attempted_at    INTEGER,
    attempt_exit    INTEGER,
    attempt_said    TEXT
) STRICT;

-- Apple's word on signing in with a password, for all accounts: it counts those by address too.
CREATE TABLE governor (
    governor_id        INTEGER PRIMARY KEY CHECK (governor_id = 1),
    sign_in_allowed_at INTEGER
) STRICT;
INSERT INTO governor (governor_id) VALUES (1);

-- One photo library: a CloudKit zone.
CREATE TABLE library (
    library_id       INTEGER PRIMARY KEY,
    account_id       INTEGER NOT NULL REFERENCES account,
    database         TEXT    NOT NULL CHECK (database IN ('private', 'shared')),
    zone_name        TEXT    NOT NULL,
    zone_owner       TEXT    NOT NULL,
    zone_type        TEXT    NOT NULL,
    -- What changed since is asked for from here: the token of the first page of the last complete
    -- enumeration, then that of the last page of changes whose rows are here. NULL: to be enumerated.
    sync_token       TEXT,
    -- What Apple says it holds, visible and hidden, and what a complete enumeration found.
    apple_count      INTEGER,
    enumerated_count INTEGER,
    enumerated_at    INTEGER,
    -- The version of the program that did that: another one may read records that this one could not.
    listed_by        TEXT,
    -- Named by its database as changed while it was left out by choice, and not caught up with since.
    behind_at        INTEGER,
    -- When Apple's count was last compared with ours, and by how much it was ahead right after the
    -- last complete enumeration: records that cannot be used are counted by Apple and not by us.
    recounted_at     INTEGER,
    count_ahead      INTEGER NOT NULL DEFAULT 0,
    -- By how much it was ahead for no reason that we know. Found by two enumerations in a row, it is
    -- taken for Apple's own way of counting, and no longer leads to a third.
    count_doubted    INTEGER,
    UNIQUE (account_id, database, zone_name, zone_owner)
) STRICT;

-- Where each database of an account was last asked which libraries changed. Of another kind than
-- the tokens of libraries, and kept once all changes that it named are rows.
CREATE TABLE database_token (
    account_id INTEGER NOT NULL REFERENCES account,
    database   TEXT    NOT NULL CHECK (database IN ('private', 'shared')),
    sync_token TEXT    NOT NULL,
    asked_at   INTEGER NOT NULL,
    PRIMARY KEY (account_id, database)
) STRICT, WITHOUT ROWID;

-- One execution of the program for one account.
CREATE TABLE run (
    run_id        INTEGER PRIMARY KEY,
    account_id    INTEGER NOT NULL REFERENCES account,
    verb          TEXT    NOT NULL CHECK (verb IN ('sync', 'plan', 'adopt', 'verify', 'audit')),
    started_at    INTEGER NOT NULL,
    ended_at      INTEGER,
    -- NULL while it lasts, and for ever if it was killed.
    outcome       TEXT,
    pid           INTEGER NOT NULL,
    version       TEXT    NOT NULL,
    files_done    INTEGER NOT NULL DEFAULT 0,
    bytes_fetched INTEGER NOT NULL DEFAULT 0,
    -- Read back from the disk by verify and audit, and what they found wrong.
    bytes_read    INTEGER NOT NULL DEFAULT 0,
    findings      INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Where an account's files stand. The directory holds a marker with the same id, so an unmounted
-- disk is "absent", not "all files lost".
CREATE TABLE destination (
    account_id     INTEGER PRIMARY KEY REFERENCES account,
    destination_id TEXT    NOT NULL,
    directory      TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    -- What its file system does, as it was tried on that device. NULL: not known. Names that differ in
    -- letter case (Unicode form) only are two files, one, or one that is told in another spelling; the
    -- characters that names may not hold; the links that cannot be made, with commas between them.
    device         INTEGER,
    letter_case    TEXT    CHECK (letter_case IN ('two', 'one', 'respelled')),
    unicode_form   TEXT    CHECK (unicode_form IN ('two', 'one', 'respelled')),
    refused        TEXT,
    no_links       TEXT
) STRICT;

-- One photo or video as the service knows it.
CREATE TABLE asset (
    asset_id          INTEGER PRIMARY KEY,
    library_id        INTEGER NOT NULL REFERENCES library,
    record_name       TEXT    NOT NULL,
    master_name       TEXT    NOT NULL,
    -- Equal tags mean that nothing changed but the URLs.
    change_tag        TEXT    NOT NULL,
    -- As the person named it; not a path.
    filename          TEXT    NOT NULL,
    kind              TEXT    NOT NULL CHECK (kind IN ('photo', 'video')),
    -- The kind of photo or video, as the service numbers it. Serves --album Screenshots and its kin.
    subtype           INTEGER,
    captured_ms       INTEGER,
    captured_offset_s INTEGER,
    added_ms          INTEGER,
    favorite          INTEGER NOT NULL CHECK (favorite IN (0, 1)),
    hidden            INTEGER NOT NULL CHECK (hidden IN (0, 1)),
    -- Its files in scope that are not verified: 0 means complete. Counted as the tally is.
    files_open        INTEGER NOT NULL DEFAULT 0,
    -- The page of provider_page that its latest records are on.
    provider_page_id  INTEGER,

    -- Folder and stem that all its files share. Chosen once. NULL: the path of its first original says it, up
    -- to the last dot; asset_stem writes it down before that path changes.
    stem              TEXT,
    -- The model of the camera, or its maker; '' if iCloud names none, NULL if it was not asked. Serves
    -- {camera} in templates.
    camera            TEXT,
    -- Gone from iCloud's library, and where to. The row and its files stay. 'moved': another
    -- library of the account holds the same photo.
    removed_at        INTEGER,
    removed_as        TEXT    CHECK (removed_as = 'recently-deleted' OR removed_as = 'purged' OR removed_as = 'moved'),
    CHECK ((removed_at IS NULL) = (removed_as IS NULL))
) STRICT;

-- Serves whatever names an asset by its record: the listing does, for each of them. By the last six letters, which
-- tell apart as many as there can be: a UNIQUE of library and name would keep all names a second time. The last,
-- because names that are no random UUIDs count up, or share how they begin. That each asset is one row is for the
-- look that comes before each insert, in the same transaction, and for `journal check`: with a trigger on INSERT
-- SQLite keeps a way back for each row and looks for its children, which was a fifth of what a new row cost.
CREATE INDEX asset_by_name ON asset (substr(record_name, -6));

-- Serves changes::assets_of_masters (a change of a master concerns its assets), the twin of a claim (the
-- same bytes in another library are copied, not fetched) and asset_change::moved_here. By six letters of
-- the name, which tell apart as many as there can be: the first one is the same for all.
CREATE INDEX asset_by_master ON asset (substr(master_name, 2, 6));

-- Serves --recent N: the N newest of a library. In the order of a listing, so that its leaves are full.
CREATE INDEX asset_by_capture ON asset (library_id, captured_ms DESC);

-- Both provider records of assets, without URLs, so that a later feature needs no new enumeration: those that
-- came together, as one zlib-compressed text. A line for each asset: its asset_id, a tab, and the JSON.
-- Serves Reader::sidecars_due.
CREATE TABLE provider_page (
    page_id   INTEGER PRIMARY KEY,
    -- Assets whose latest records are here. The page goes with the last of them.
    assets    INTEGER NOT NULL,
    records_z BLOB    NOT NULL
) STRICT;

-- Append-only: what happened to an asset in iCloud since it was first listed, other than its bytes
-- coming home. Serves v_history. Its numbers go on from those of the table history, and the other way.
CREATE TABLE asset_history (
    asset_history_id INTEGER PRIMARY KEY,
    asset_id         INTEGER NOT NULL REFERENCES asset,
    run_id           INTEGER REFERENCES run,
    at               INTEGER NOT NULL,
    event            TEXT    NOT NULL CHECK (event IN ('added', 'edited', 'reverted', 'replaced',
        'renamed', 'redated', 'favorited', 'unfavorited', 'hidden', 'unhidden', 'deleted', 'purged',
        'moved', 'restored', 'album_joined', 'album_left')),
    -- Old and new value, or the name of the album or library.
    detail           TEXT
) STRICT;
-- Serves v_history asked for one asset.
CREATE INDEX asset_history_of ON asset_history (asset_id);

CREATE TRIGGER asset_history_append_only_update BEFORE UPDATE ON asset_history
BEGIN
    SELECT RAISE(ABORT, 'history is append-only');
END;

CREATE TRIGGER asset_history_append_only_delete BEFORE DELETE ON asset_history
BEGIN
    SELECT RAISE(ABORT, 'history is append-only');
END;

-- Albums, and the folders they lie in.
CREATE TABLE album (
    album_id    INTEGER PRIMARY KEY,
    library_id  INTEGER NOT NULL REFERENCES library,
    record_name TEXT    NOT NULL,
    -- As the person named it: not unique, and not a path.
    name        TEXT    NOT NULL,
    -- The folder it lies in, by record name; NULL at the top.
    parent_name TEXT,
    is_folder   INTEGER NOT NULL CHECK (is_folder IN (0, 1)),
    -- Its place among its neighbours.
    position    INTEGER,
    -- Deleted in iCloud. The row stays.
    removed_at  INTEGER,
    UNIQUE (library_id, record_name)
) STRICT;

-- What lies in an album. The asset is named by its record: it may become a row later than this one.
CREATE TABLE album_asset (
    album_id   INTEGER NOT NULL REFERENCES album,
    asset_name TEXT    NOT NULL,
    -- Its place in the album; NULL when the service gave none.
    position   INTEGER,
    -- Taken out of the album, or the album was deleted. The row stays.
    removed_at INTEGER,
    PRIMARY KEY (album_id, asset_name)
) STRICT, WITHOUT ROWID;

-- Serves --album: where an asset lies.
CREATE INDEX album_asset_of ON album_asset (asset_name) WHERE removed_at IS NULL;

-- The choice that asset_file.excluded_by is the answer to. Another one is applied to all rows once.
CREATE TABLE choice (
    account_id INTEGER PRIMARY KEY REFERENCES account,
    digest     TEXT    NOT NULL,
    -- Whether smaller copies were asked for: only then are they rows.
    previews   INTEGER NOT NULL CHECK (previews IN (0, 1)),
    -- Whether cameras were asked for: only then do all rows have asset.camera.
    cameras    INTEGER NOT NULL CHECK (cameras IN (0, 1)),
    applied_at INTEGER NOT NULL
) STRICT;

-- Every legal move of an asset file: the same rows as LEGAL_MOVES in src/model/state.rs.
CREATE TABLE legal_move (
    from_state TEXT NOT NULL,
    event      TEXT NOT NULL,
    to_state   TEXT NOT NULL,
    PRIMARY KEY (from_state, event, to_state)
) STRICT, WITHOUT ROWID;

INSERT INTO legal_move (from_state, event, to_state) VALUES
    ('pending',     'changed',     'pending'),
    ('pending',     'progressed',  'partial'),
    ('pending',     'verified',    'verified'),
    ('pending',     'adopted',     'verified'),
    ('pending',     'failed',      'failed'),
    ('pending',     'url_expired', 'expired-url'),
    ('partial',     'restarted',   'pending'),
    ('partial',     'changed',     'pending'),
    ('partial',     'progressed',  'partial'),
    ('partial',     'verified',    'verified'),
    ('partial',     'adopted',     'verified'),
    ('partial',     'failed',      'failed'),
    ('partial',     'url_expired', 'expired-url'),
    ('verified',    'lost',        'pending'),
    ('failed',      'requeued',    'pending'),
    ('failed',      'changed',     'pending'),
    ('failed',      'requeued',    'partial'),
    ('failed',      'adopted',     'verified'),
    ('expired-url', 'url_renewed', 'pending'),
    ('expired-url', 'changed',     'pending'),
    ('expired-url', 'url_renewed', 'partial'),
    ('expired-url', 'failed',      'failed'),
    ('expired-url', 'adopted',     'verified');

-- One rendition of one asset = one row = one file on disk.
CREATE TABLE asset_file (
    file_id        INTEGER PRIMARY KEY,
    asset_id       INTEGER NOT NULL REFERENCES asset,
    -- The asset's own library again, so that work is found by library.
    library_id     INTEGER NOT NULL REFERENCES library,
    rendition      TEXT    NOT NULL
        CHECK (rendition = 'original' OR rendition = 'live-video' OR rendition = 'edited'
            OR rendition = 'edited-video' OR rendition = 'alternative' OR rendition = 'medium'
            OR rendition = 'medium-video' OR rendition = 'thumb' OR rendition = 'thumb-video'),
    -- Apple's checksum, base64 as the record gives it.
    checksum       TEXT    NOT NULL,
    size_bytes     INTEGER NOT NULL CHECK (size_bytes >= 0),
    uti            TEXT    NOT NULL,
    -- Relative to the account's destination. Chosen once. path_key is a digest of account and path
    -- with letter case and Unicode form folded.
    path           TEXT    NOT NULL,
    path_key       INTEGER NOT NULL UNIQUE,

    -- The state machine. With it what always has a value: SQLite takes no room for NULLs at the end of a row.
    state          TEXT    NOT NULL DEFAULT 'pending'
        CHECK (state = 'pending' OR state = 'partial' OR state = 'verified' OR state = 'failed'
            OR state = 'expired-url'),
    -- Durable and promised bytes of the part file.
    offset_bytes   INTEGER NOT NULL DEFAULT 0 CHECK (offset_bytes BETWEEN 0 AND size_bytes),
    -- URLs in a row that the host refused although they should have lived.
    urls_refused   INTEGER NOT NULL DEFAULT 0,
    -- Failed attempts in a row.
    attempts       INTEGER NOT NULL DEFAULT 0,

    -- One word for people and for the tally: the state, or why it is out of scope.
    standing       TEXT    GENERATED ALWAYS AS (CASE
        WHEN superseded_at IS NOT NULL THEN 'superseded'
        WHEN released_at   IS NOT NULL THEN 'released'
        WHEN excluded_by   IS NOT NULL AND state <> 'verified' THEN 'excluded'
        ELSE state END) VIRTUAL,

    -- Whether its asset still waits for it.
    is_open        INTEGER GENERATED ALWAYS AS (
        state <> 'verified' AND excluded_by IS NULL AND released_at IS NULL AND superseded_at IS NULL
    ) VIRTUAL,

    -- The last move: which event, when, in which run. Runs are no REFERENCES here: with one, SQLite keeps a way back
    -- for each claim. `journal check` looks whether they are there.
    event          TEXT,
    moved_at       INTEGER,
    moved_run_id   INTEGER,

    -- The proof.
    sha256         BLOB    CHECK (length(sha256) = 32),
    verified_by    TEXT
        CHECK (verified_by = 'apple-signature' OR verified_by = 'sha256' OR verified_by = 'length'),
    verified_at    INTEGER,
    -- When its bytes were last read back from the disk and were right. NULL: not since they came.
    checked_at     INTEGER,

    -- Facts that are not states. They take a row out of scope, never out of the audit. excluded_by is
    -- the setting that leaves the row out; a verified row keeps its standing, and would not be
    -- fetched again.
    excluded_by    TEXT,
    released_at    INTEGER,
    superseded_at  INTEGER,

    -- A worker's exclusive right. A claim of another run is dead.
    claim_run_id   INTEGER,
    claim_worker   INTEGER,

    -- When its row in signed_url stops working.
    url_expires_at INTEGER,

    -- The last failed attempt. retry_at NULL on a failed row: parked.
    error_kind     TEXT,
    error_detail   TEXT,
    retry_at       INTEGER,

    -- Of the promised bytes: their digest, and the server's validator.
    prefix_sha256  BLOB    CHECK (length(prefix_sha256) = 32),
    etag           TEXT,

    -- Set where --set-exif-datetime added the date to the bytes that were proved: the digest of those, and
    -- the length on the disk. sha256 is always that of what is on the disk.
    apple_sha256   BLOB    CHECK (length(apple_sha256) = 32),
    disk_bytes     INTEGER CHECK (disk_bytes >= 0),

    -- In the trash of the destination, and released with that: where, and since when. A path without a
    -- time: on its way, in either direction. kept_at: a person took it back out.
    trash_path     TEXT,
    trashed_at     INTEGER,
    kept_at        INTEGER,

    -- A new row starts as pending.
    CHECK (event IS NOT NULL OR state = 'pending'),
    CHECK ((state = 'verified') = (sha256 IS NOT NULL)),
    CHECK ((state = 'verified') = (verified_by IS NOT NULL)),
    CHECK ((state = 'verified') = (verified_at IS NOT NULL)),
    CHECK (checked_at IS NULL OR state = 'verified'),
    CHECK (apple_sha256 IS NULL OR state = 'verified'),
    CHECK ((apple_sha256 IS NULL) = (disk_bytes IS NULL)),
    CHECK ((state = 'failed') = (error_kind IS NOT NULL)),
    CHECK ((offset_bytes > 0) = (prefix_sha256 IS NOT NULL)),
    CHECK (state <> 'partial' OR offset_bytes > 0),
    CHECK (state NOT IN ('pending', 'verified') OR offset_bytes = 0),
    CHECK (trash_path IS NULL OR (state = 'verified' AND released_at IS NOT NULL)),
    CHECK (trashed_at IS NULL OR trash_path IS NOT NULL),
    CHECK ((claim_run_id IS NULL) = (claim_worker IS NULL)),
    CHECK (claim_run_id IS NULL OR state IN ('pending', 'partial'))
) STRICT;

-- Serves everything that asks for the files of an asset. That each version is one row is for reconcile::plan, for
-- asset_file_once_changed and for `journal check`: a UNIQUE of asset, rendition and checksum would keep all checksums
-- a second time.
CREATE INDEX asset_file_of ON asset_file (asset_id);
-- Serves Journal::claim: unclaimed work only, so it shrinks as the run goes on.
CREATE INDEX asset_file_claimable ON asset_file (library_id, file_id)
    WHERE state IN ('pending', 'partial') AND claim_run_id IS NULL
      AND excluded_by IS NULL AND released_at IS NULL AND superseded_at IS NULL;
-- Serves Journal::take_over_dead: what dead runs held.
CREATE INDEX asset_file_claimed ON asset_file (library_id, claim_run_id) WHERE claim_run_id IS NOT NULL;
-- Serves Journal::expired: what wants a fresh URL.
CREATE INDEX asset_file_expired ON asset_file (library_id, file_id)
    WHERE state = 'expired-url'
      AND excluded_by IS NULL AND released_at IS NULL AND superseded_at IS NULL;
-- Serves Journal::requeue and v_problem.
CREATE INDEX asset_file_failed ON asset_file (library_id, retry_at) WHERE state = 'failed';
-- Serves Reader::due and Reader::line: what to read back next, the oldest check first.
CREATE INDEX asset_file_scrub ON asset_file (library_id, checked_at, file_id)
    WHERE state = 'verified' AND released_at IS NULL;

-- A file on its way to another path: written before it is renamed, gone when its row has the new path.
-- Serves Journal::unfinished_moves, after a crash.
CREATE TABLE relocation (
    file_id INTEGER PRIMARY KEY REFERENCES asset_file,
    to_path TEXT    NOT NULL,
    to_key  INTEGER NOT NULL UNIQUE
) STRICT;

-- Folders that a relayout moves files out of, until it has looked what is left in them. Serves
-- Reader::emptied: what a killed relayout did not get to.
CREATE TABLE emptied_folder (
    account_id INTEGER NOT NULL REFERENCES account,
    folder     TEXT    NOT NULL,
    PRIMARY KEY (account_id, folder)
) STRICT, WITHOUT ROWID;

-- A verified file that is about to get other bytes: written before it does, gone when its row says so.
-- Serves Reader::unfinished_dates, after a crash.
CREATE TABLE rewrite (
    file_id   INTEGER PRIMARY KEY REFERENCES asset_file,
    to_sha256 BLOB    NOT NULL CHECK (length(to_sha256) = 32),
    to_bytes  INTEGER NOT NULL
) STRICT;

-- What --set-exif-datetime found in a JPEG: in which bytes, and what came of it. Other bytes are looked at
-- again. Serves Reader::undated.
CREATE TABLE exif_look (
    file_id INTEGER PRIMARY KEY REFERENCES asset_file,
    sha256  BLOB    NOT NULL CHECK (length(sha256) = 32),
    outcome TEXT    NOT NULL CHECK (outcome IN ('has', 'written', 'left')),
    -- Why it was left.
    detail  TEXT
) STRICT;

-- Part files that nobody waits for any more, until they are removed. Serves Reader::leftovers: what a
-- killed run did not get to.
CREATE TABLE leftover (
    account_id INTEGER NOT NULL REFERENCES account,
    path       TEXT    NOT NULL,
    tag        TEXT    NOT NULL,
    PRIMARY KEY (account_id, path, tag)
) STRICT, WITHOUT ROWID;
-- Serves Journal::refetch: what a person deleted here.
CREATE INDEX asset_file_released ON asset_file (released_at) WHERE released_at IS NOT NULL;
-- Serves Reader::trash.
CREATE INDEX asset_file_trash ON asset_file (trashed_at, file_id) WHERE trash_path IS NOT NULL;
-- Serves Journal::forget_kept.
CREATE INDEX asset_file_kept ON asset_file (file_id) WHERE kept_at IS NOT NULL;
-- Serves Reader::due_for_trash.
CREATE INDEX asset_removed ON asset (library_id) WHERE removed_at IS NOT NULL;

-- How far the look at whether verified files still stand has come: the row after which it goes on,
-- how many files this round missed so far, and when the last round ended. Serves Reader::sweep.
CREATE TABLE sweep (
    account_id    INTEGER PRIMARY KEY REFERENCES account,
    after_file_id INTEGER NOT NULL,
    missing       INTEGER NOT NULL,
    ended_at      INTEGER
) STRICT;

-- Signed URLs of rows that still want their bytes: long, short-lived, and secret, so they stand
-- apart and go when the bytes are home.
CREATE TABLE signed_url (
    file_id INTEGER PRIMARY KEY REFERENCES asset_file,
    url     TEXT    NOT NULL
) STRICT;

-- Renditions whose checksums prove nothing: the first twenty files all came whole and none
-- matched. Serves Journal::doubted; such files are verified by length.
CREATE TABLE doubted_rendition (
    account_id INTEGER NOT NULL REFERENCES account,
    rendition  TEXT    NOT NULL,
    since_at   INTEGER NOT NULL,
    run_id     INTEGER NOT NULL REFERENCES run,
    PRIMARY KEY (account_id, rendition)
) STRICT, WITHOUT ROWID;

-- Append-only: every change of a state, written by trigger; and what happened to a verified file that
-- stayed one.
CREATE TABLE history (
    history_id INTEGER PRIMARY KEY,
    file_id    INTEGER NOT NULL REFERENCES asset_file,
    run_id     INTEGER REFERENCES run,
    at         INTEGER NOT NULL,
    event      TEXT    NOT NULL,
    from_state TEXT    NOT NULL,
    to_state   TEXT    NOT NULL,
    detail     TEXT
) STRICT;
-- Serves explain, and audit: the last word about a file.
CREATE INDEX history_of ON history (file_id);

-- What verify found wrong with a file on the disk. Serves the detail of 'lost' in the history, and
-- v_problem for a file that cannot be read.
CREATE TABLE damage (
    damage_id   INTEGER PRIMARY KEY,
    file_id     INTEGER NOT NULL REFERENCES asset_file,
    run_id      INTEGER NOT NULL REFERENCES run,
    at          INTEGER NOT NULL,
    kind        TEXT    NOT NULL CHECK (kind IN ('missing', 'damaged', 'replaced', 'unreadable')),
    detail      TEXT    NOT NULL,
    -- What became of a damaged file: its new name beside the old one.
    kept_as     TEXT,
    -- An unreadable file was read again since. The others say by their state where they stand.
    resolved_at INTEGER
) STRICT;
-- Serves the trigger asset_file_history, and explain.
CREATE INDEX damage_of ON damage (file_id);
-- Serves v_problem.
CREATE INDEX damage_open ON damage (kind) WHERE kind = 'unreadable' AND resolved_at IS NULL;

-- Records that cannot be used, or not wholly.
CREATE TABLE record_problem (
    library_id  INTEGER NOT NULL REFERENCES library,
    record_name TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    seen_at     INTEGER NOT NULL,
    -- The last run that met it. A complete enumeration that does not meet it again resolves it.
    run_id      INTEGER NOT NULL REFERENCES run,
    resolved_at INTEGER,
    PRIMARY KEY (library_id, record_name, kind)
) STRICT;

-- What `adopt` found on the disk, one row for each local file: relative to the destination, or absolute
-- where the files were brought in from elsewhere. Its digests stand as long as size, time and inode do,
-- so that a run that was killed, or a second one, reads no file twice. Serves v_adoption.
CREATE TABLE adoption (
    account_id  INTEGER NOT NULL REFERENCES account,
    path        TEXT    NOT NULL,
    size_bytes  INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    inode       INTEGER NOT NULL,
    sha256      BLOB    CHECK (length(sha256) = 32),
    signature   BLOB    CHECK (length(signature) = 20),
    outcome     TEXT    NOT NULL CHECK (outcome IN
        ('adopted', 'adoptable', 'already', 'duplicate', 'altered', 'unknown', 'unreadable', 'blocked')),
    -- The file of ours that it is, is once more, or should have been.
    file_id     INTEGER REFERENCES asset_file,
    detail      TEXT,
    run_id      INTEGER NOT NULL REFERENCES run,
    PRIMARY KEY (account_id, path),
    CHECK ((sha256 IS NULL) = (signature IS NULL))
) STRICT, WITHOUT ROWID;

-- Links of ours in a view of albums: where, to which file, and what they are known by on the disk, so
-- that only our own are ever removed. A row without an inode is an intent: that link is being made.
-- Serves Reader::album_links.
CREATE TABLE album_link (
    account_id  INTEGER NOT NULL REFERENCES account,
    directory   TEXT    NOT NULL,
    path        TEXT    NOT NULL,
    file_id     INTEGER NOT NULL REFERENCES asset_file,
    media       TEXT    NOT NULL,
    kind        TEXT    NOT NULL CHECK (kind IN ('hardlink', 'reflink', 'symlink')),
    inode       INTEGER,
    modified_ns INTEGER,
    PRIMARY KEY (account_id, directory, path),
    CHECK ((inode IS NULL) = (modified_ns IS NULL))
) STRICT, WITHOUT ROWID;
-- Serves Journal::make_links_again and Reader::hard_links: what shares the bytes of a file.
CREATE INDEX album_link_sharing ON album_link (file_id) WHERE kind <> 'symlink';
-- Serves Reader::has_links_to_make: those that are to be made again have no media, and those that a killed run
-- was about to make no inode.
CREATE INDEX album_link_due ON album_link (account_id) WHERE media = '' OR inode IS NULL;

-- The sidecar that stands beside a file: where, and the digest of what we wrote, so that only our own
-- work is ever replaced. sha256 NULL: somebody else's, which stays. made_from: one number for all that
-- it says; another number makes it due. Serves Reader::sidecars_due.
CREATE TABLE sidecar (
    file_id    INTEGER PRIMARY KEY REFERENCES asset_file,
    path       TEXT    NOT NULL,
    sha256     BLOB    CHECK (length(sha256) = 32),
    made_from  INTEGER NOT NULL,
    written_at INTEGER NOT NULL
) STRICT;

-- Counts, so that `status` reads a handful of rows at any size. Every change of a row is counted by trigger;
-- new rows are counted by whoever makes them, a page at a time and in the same transaction.
CREATE TABLE tally (
    library_id INTEGER NOT NULL REFERENCES library,
    standing   TEXT    NOT NULL,
    files      INTEGER NOT NULL DEFAULT 0,
    bytes      INTEGER NOT NULL DEFAULT 0,
    -- Of those, the verified ones that were never read back since they came home.
    unchecked  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (library_id, standing)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER library_tally AFTER INSERT ON library
BEGIN
    INSERT INTO tally (library_id, standing)
    SELECT NEW.library_id, value FROM json_each(
        '["pending", "partial", "verified", "failed", "expired-url",
          "excluded", "released", "superseded", "assets", "assets-open", "assets-hidden",
          "assets-removed"]');
END;

CREATE TRIGGER asset_file_once_changed BEFORE UPDATE OF asset_id, rendition, checksum ON asset_file
WHEN EXISTS (
    SELECT 1 FROM asset_file
    WHERE asset_id = NEW.asset_id AND rendition = NEW.rendition AND checksum = NEW.checksum
      AND file_id <> OLD.file_id)
BEGIN
    SELECT RAISE(ABORT, 'this version of a file has a row');
END;

CREATE TRIGGER asset_stem BEFORE UPDATE OF path ON asset_file
WHEN OLD.rendition = 'original' AND OLD.path <> NEW.path
BEGIN
    UPDATE asset SET stem = (
        SELECT substr(path, 1, length(rtrim(path, replace(path, '.', ''))) - 1) FROM asset_file
        WHERE asset_id = OLD.asset_id AND rendition = 'original' ORDER BY file_id LIMIT 1)
    WHERE asset_id = OLD.asset_id AND stem IS NULL;
END;

-- The third belt: no program and no person makes an illegal move.
CREATE TRIGGER asset_file_legal_move BEFORE UPDATE OF state ON asset_file
WHEN OLD.state <> NEW.state AND NOT EXISTS (
    SELECT 1 FROM legal_move
    WHERE from_state = OLD.state AND event = NEW.event AND to_state = NEW.state)
BEGIN
    SELECT RAISE(ABORT, 'illegal move: see the table legal_move, and set event to its name');
END;

CREATE TRIGGER asset_file_stays BEFORE DELETE ON asset_file
BEGIN
    SELECT RAISE(ABORT, 'illegal move: rows of asset_file are never deleted');
END;

CREATE TRIGGER history_append_only_update BEFORE UPDATE ON history
BEGIN
    SELECT RAISE(ABORT, 'history is append-only');
END;

CREATE TRIGGER history_append_only_delete BEFORE DELETE ON history
BEGIN
    SELECT RAISE(ABORT, 'history is append-only');
END;

CREATE TRIGGER asset_file_history AFTER UPDATE OF state ON asset_file
WHEN OLD.state <> NEW.state
BEGIN
    INSERT INTO history (history_id, file_id, run_id, at, event, from_state, to_state, detail)
    -- Both histories count on with one number, so that what happened within one second keeps its order.
    VALUES (1 + max(coalesce((SELECT max(history_id) FROM history), 0),
                    coalesce((SELECT max(asset_history_id) FROM asset_history), 0)), NEW.file_id, NEW.moved_run_id, NEW.moved_at, NEW.event, OLD.state, NEW.state,
        CASE NEW.state WHEN 'failed' THEN NEW.error_kind || ': ' || NEW.error_detail
                       WHEN 'verified' THEN NEW.verified_by
                       WHEN 'pending' THEN iif(NEW.event = 'lost', (
                           SELECT kind || ': ' || detail || coalesce('; kept as ' || kept_as, '')
                           FROM damage WHERE file_id = NEW.file_id AND run_id IS NEW.moved_run_id
                             AND at = NEW.moved_at
                           ORDER BY damage_id DESC LIMIT 1), NULL) END);
END;

CREATE TRIGGER asset_file_tally_update
AFTER UPDATE OF state, size_bytes, excluded_by, released_at, superseded_at, checked_at ON asset_file
WHEN OLD.standing <> NEW.standing OR OLD.size_bytes <> NEW.size_bytes
  OR (OLD.state = 'verified' AND OLD.released_at IS NULL AND OLD.checked_at IS NULL)
  <> (NEW.state = 'verified' AND NEW.released_at IS NULL AND NEW.checked_at IS NULL)
BEGIN
    UPDATE tally
    SET files = files - 1, bytes = bytes - OLD.size_bytes,
        unchecked = unchecked - (OLD.state = 'verified' AND OLD.released_at IS NULL AND OLD.checked_at IS NULL)
    WHERE library_id = OLD.library_id AND standing = OLD.standing;
    UPDATE tally
    SET files = files + 1, bytes = bytes + NEW.size_bytes,
        unchecked = unchecked + (NEW.state = 'verified' AND NEW.released_at IS NULL AND NEW.checked_at IS NULL)
    WHERE library_id = NEW.library_id AND standing = NEW.standing;
END;

CREATE TRIGGER asset_file_open_update
AFTER UPDATE OF state, excluded_by, released_at, superseded_at ON asset_file
WHEN OLD.is_open <> NEW.is_open
BEGIN
    UPDATE asset SET files_open = files_open + NEW.is_open - OLD.is_open WHERE asset_id = NEW.asset_id;
END;

CREATE TRIGGER asset_open_tally AFTER UPDATE OF files_open ON asset
WHEN (OLD.files_open > 0) <> (NEW.files_open > 0)
BEGIN
    UPDATE tally SET files = files + (NEW.files_open > 0) - (OLD.files_open > 0)
    WHERE library_id = NEW.library_id AND standing = 'assets-open';
END;

-- Of the assets that are in iCloud, those that are hidden; and those that are gone from there.
CREATE TRIGGER asset_removed_tally AFTER UPDATE OF hidden, removed_at ON asset
WHEN OLD.hidden <> NEW.hidden OR (OLD.removed_at IS NULL) <> (NEW.removed_at IS NULL)
BEGIN
    UPDATE tally SET files = files + (NEW.removed_at IS NOT NULL) - (OLD.removed_at IS NOT NULL)
    WHERE library_id = NEW.library_id AND standing = 'assets-removed';
    UPDATE tally SET files = files + (NEW.hidden AND NEW.removed_at IS NULL)
                                   - (OLD.hidden AND OLD.removed_at IS NULL)
    WHERE library_id = NEW.library_id AND standing = 'assets-hidden';
END;

-- The contract, version 1 -------------------------------------------------------------------

-- Every file: where it is, where it stands, and how it was proved.
CREATE VIEW v_file AS
SELECT f.file_id, l.zone_name AS library, a.record_name AS asset, a.filename, f.rendition,
       f.path, f.standing, f.state, f.size_bytes,
       CASE f.state WHEN 'verified' THEN f.size_bytes ELSE f.offset_bytes END AS done_bytes,
       f.verified_by, lower(hex(f.sha256)) AS sha256, f.checksum AS apple_checksum,
       f.verified_at, f.attempts, f.error_kind, f.error_detail, f.retry_at, f.excluded_by,
       a.captured_ms / 1000 AS captured_at, f.claim_run_id AS claimed_by_run,
       f.checked_at, f.released_at, f.superseded_at, c.username AS account,
       f.trash_path, f.trashed_at,
       -- Only where the date was added to the proved bytes: their digest, and the length on the disk.
       lower(hex(f.apple_sha256)) AS apple_sha256, f.disk_bytes
FROM asset_file f JOIN asset a USING (asset_id) JOIN library l ON l.library_id = f.library_id
     JOIN account c ON c.account_id = l.account_id;

-- Every asset, with its files counted.
CREATE VIEW v_asset AS
SELECT a.asset_id, l.zone_name AS library, a.record_name AS asset, a.filename, a.kind,
       a.captured_ms / 1000 AS captured_at, a.added_ms / 1000 AS added_at,
       a.favorite, a.removed_at,
       count(f.file_id) AS files,
       coalesce(sum(f.standing = 'verified'), 0) AS files_verified,
       a.files_open,
       coalesce(sum(f.size_bytes), 0) AS size_bytes,
       a.hidden, a.removed_as, a.camera
FROM asset a JOIN library l USING (library_id) LEFT JOIN asset_file f ON f.asset_id = a.asset_id
GROUP BY a.asset_id;

-- Everything that needs a person's eye, by name and with its reason.
CREATE VIEW v_problem AS
SELECT 'file' AS what, l.zone_name AS library, a.record_name AS record, f.path AS name,
       f.error_kind AS kind, f.error_detail AS detail, f.attempts, f.moved_at AS since_at, f.retry_at
FROM asset_file f JOIN asset a USING (asset_id) JOIN library l ON l.library_id = f.library_id
WHERE f.state = 'failed' AND f.excluded_by IS NULL AND f.released_at IS NULL
  -- A file that Apple no longer offers waits for nothing, but it is missed: it keeps its name here. Not
  -- so where it was never here and its asset left the library: that is no more than v_asset says.
  AND (f.superseded_at IS NULL OR (f.error_kind = 'gone' AND (a.removed_at IS NULL OR EXISTS (
      SELECT 1 FROM history h WHERE h.file_id = f.file_id AND h.to_state = 'verified'))))
UNION ALL
SELECT 'record', l.zone_name, p.record_name, p.record_name, p.kind, p.detail, 0, p.seen_at, NULL
FROM record_problem p JOIN library l USING (library_id) WHERE p.resolved_at IS NULL
UNION ALL
SELECT 'file', l.zone_name, a.record_name, f.path, n.kind, n.detail, 0, n.at, NULL
FROM damage n JOIN asset_file f USING (file_id) JOIN asset a USING (asset_id)
     JOIN library l ON l.library_id = f.library_id
WHERE n.kind = 'unreadable' AND n.resolved_at IS NULL;

-- Every run.
CREATE VIEW v_run AS
SELECT r.run_id, a.username AS account, r.started_at, r.ended_at,
       r.ended_at - r.started_at AS seconds, coalesce(r.outcome, 'unfinished') AS outcome,
       r.files_done, r.bytes_fetched, r.version, r.verb, r.bytes_read, r.findings
FROM run r JOIN account a USING (account_id);

-- What happened to files here, and to assets in iCloud: those lines have a negative history_id, and
-- no path, rendition and states. Without the sign it says what came first.
CREATE VIEW v_history AS
SELECT h.history_id, h.at, h.run_id, f.path, f.rendition, a.record_name AS asset,
       h.event, h.from_state, h.to_state, h.detail
FROM history h JOIN asset_file f USING (file_id) JOIN asset a USING (asset_id)
UNION ALL
SELECT -h.asset_history_id, h.at, h.run_id, NULL, NULL, a.record_name,
       h.event, NULL, NULL, h.detail
FROM asset_history h JOIN asset a USING (asset_id);

-- Files and bytes by standing.
CREATE VIEW v_summary AS
SELECT standing, sum(files) AS files, sum(bytes) AS bytes FROM tally
WHERE standing NOT LIKE 'assets%' GROUP BY standing;

-- What `adopt` made of every local file.
CREATE VIEW v_adoption AS
SELECT u.username AS account, d.path AS local_path, d.size_bytes, d.outcome, d.detail,
       f.path, f.rendition, a.record_name AS asset, d.run_id
FROM adoption d JOIN account u USING (account_id)
LEFT JOIN asset_file f USING (file_id) LEFT JOIN asset a USING (asset_id);
