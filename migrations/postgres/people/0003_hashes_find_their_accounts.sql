-- A sign-in that names no workspace must cost the same whatever accounts have its email. So a hash is salted
-- with the email, under a key that is in no database: the same email and password have the same hash in every
-- workspace, and one hash finds all of their accounts by this index.
--
-- Hashes from before have salts of their own, and `email_salt` 0. The next sign-in replaces each.
alter table credentials add column email_salt bigint not null default 0;

create index credentials_by_hash on credentials (hash);

-- Tells in one step whether there are any from before.
create index credentials_with_own_salt on credentials (workspace, person) where email_salt = 0;
