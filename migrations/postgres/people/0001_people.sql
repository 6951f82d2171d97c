-- What the log must not hold of people: the keys that open what is personal in it, and how people sign in. Apart from the
-- events, so that destroying a key makes what it sealed unreadable wherever copies of the log lie.

-- One key a person. A destroyed key leaves its row, without the key: nobody makes a new one for somebody who was erased.
create table person_keys (
    workspace uuid not null,
    person uuid not null,
    key bytea,
    destroyed_at bigint,
    primary key (workspace, person),
    check ((key is null) <> (destroyed_at is null))
);

-- An Argon2id hash, kept before the command that registers its person is appended. It counts if the person's first event
-- is that command's: what a refused registration leaves behind opens nothing.
create table credentials (
    workspace uuid not null,
    person uuid not null,
    command_id uuid not null,
    hash text not null,
    primary key (workspace, person, command_id)
);

-- Where an email may have an account, for whoever signs in without naming a workspace: a keyed hash of the email. The truth
-- is the reservation in the workspace's log; a row too many is only a look too many.
create table logins (
    login bytea not null,
    workspace uuid not null,
    person uuid not null,
    primary key (login, workspace, person)
);

create index logins_of_person on logins (workspace, person);

-- Tokens that renew a session, as hashes. Each is used once and followed by another of its family; one that comes again
-- later was stolen, and the family goes. So used ones stay until they end.
create table refresh_tokens (
    hash bytea not null primary key,
    family uuid not null,
    workspace uuid not null,
    person uuid not null,
    expires_at bigint not null,
    used_at bigint
);

create index refresh_tokens_of_family on refresh_tokens (family);
create index refresh_tokens_of_person on refresh_tokens (workspace, person);
create index refresh_tokens_by_end on refresh_tokens (expires_at);

-- Erasures under way: written before the event is appended, gone with the key. What is found here after a crash is finished
-- if the event is there.
create table erasures (
    workspace uuid not null,
    person uuid not null,
    wanted_at bigint not null,
    primary key (workspace, person)
);
