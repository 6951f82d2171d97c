-- Each request asks whether the session of its token has ended: until when its family is good, the latest first. Used
-- tokens of a family stay until they end, so that is one step with the end in the index, and thousands without.
drop index refresh_tokens_of_family;
create index refresh_tokens_of_family on refresh_tokens (family, expires_at);
