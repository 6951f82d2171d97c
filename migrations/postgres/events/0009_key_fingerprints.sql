-- Fingerprints of the keys in the folder of the servers on this database, which all have the same: a server with others
-- could read no email and accept no token of theirs, so it does not start. A fingerprint is a SHA-256 over a random key of
-- 32 bytes, or over a public key: it reveals nothing of the key.
create table key_fingerprints (
    -- what a key is for; of signing keys there may be several, so that they can be rotated
    purpose     text  collate "C" not null,
    fingerprint bytea not null check (length(fingerprint) = 32),
    primary key (purpose, fingerprint)
);

-- No key: servers that start together take turns by locking this row.
insert into key_fingerprints (purpose, fingerprint) values ('', decode(repeat('00', 32), 'hex'));
