-- Fingerprints of the keys in the server's folder. A fingerprint is a SHA-256 over a random key of 32 bytes, or over a
-- public key: it reveals nothing of the key.
create table key_fingerprints (
    -- what a key is for; of signing keys there may be several, so that they can be rotated
    purpose     text not null,
    fingerprint blob not null check (length(fingerprint) = 32),
    primary key (purpose, fingerprint)
) strict, without rowid;

-- No key: as on PostgreSQL, where servers that start together take turns by locking this row.
insert into key_fingerprints (purpose, fingerprint) values ('', zeroblob(32));
