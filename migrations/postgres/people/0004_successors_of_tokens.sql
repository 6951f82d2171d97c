-- Tabs of a browser renew a session at the same moment, at any server, and each must get the same next token: with one for
-- each, a thief and the owner would go on in branches of their own. So a used token notes its successor, sealed under the
-- text of the token, which is not stored. Null: the token was not used, or before this column.
alter table refresh_tokens add column successor bytea;
