-- The scopes of API tokens: which articles the holder may write. Null, as for all tokens made before, is no bound.
--
-- The texts are checked by the program that makes the token (`src/model/scope.rs`): the forms of a later release are
-- kept here as they are, and a service that does not know a form lets the holder write nothing.
--
-- A release without this column ignores it, and takes a token with scopes as one without: no such token may be made
-- before every instance is upgraded (ops/reference.md says so).

alter table token
    add column scopes text[]
        constraint token_scopes_check check (cardinality(scopes) between 1 and 16);
comment on column token.scopes is 'publisher=NAME or label:KEY=VALUE; never changes; null for a token that may write every article';
