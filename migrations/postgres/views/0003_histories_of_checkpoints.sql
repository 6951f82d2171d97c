-- A checkpoint knows its history: the hash that the log's chain has at its position. A log that was restored from a backup
-- may be behind its views, or go on differently from there; what was folded from events that it does not have is then
-- folded anew. Null where the lane has not moved since this migration: only its position can be compared.
alter table checkpoints add column hash text collate "C" check (length(hash) = 64);
