-- How often all tokens of a user were invalidated. An access token says which generation it is of, so that no clock
-- decides whether it was issued before or after. Null is none.
ALTER TABLE users ADD COLUMN token_generation INTEGER;
-- tokens_invalidated_at as it was when the generation was last counted. Where it is another, FastPKI 0.4 has invalidated
-- the tokens since.
ALTER TABLE users ADD COLUMN generation_mark {timestamp};
UPDATE users SET generation_mark = tokens_invalidated_at;
-- When a sweep first found a signed-out access token ended: it is forgotten by a later one that does too.
ALTER TABLE blocklisted_tokens ADD COLUMN seen_ended_at {timestamp};

-- What is written to see whether changes can be: longer than what they write, and not compressed.
ALTER TABLE fastpki_jobs ADD COLUMN proof VARCHAR;
postgres: ALTER TABLE fastpki_jobs ALTER COLUMN proof SET STORAGE EXTERNAL;
