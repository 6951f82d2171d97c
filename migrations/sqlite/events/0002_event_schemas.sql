-- The schema registry: beside every type and version, what its payload looks like.

-- JSON Schema. Null where only a newer version of the program, or an import, knows it. Once there, it stays as it is: a
-- program with another schema for the same version does not start.
alter table event_types add column schema text;
