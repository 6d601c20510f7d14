-- API tokens: who may call, with which role. `readout token` makes, lists and revokes them.
--
-- A token is `rdt_<id>_<secret>`, and of its secret only the SHA-256 is kept: whoever reads the table, or a backup of it,
-- cannot call with what stands there. A slow, salted hash, as for passwords, would add nothing: the secret is 256 bits
-- from the system's generator, so that no list of likely ones can be tried, and every call would pay for it.
--
-- Services read the whole table every second, and keep it in memory: there are tens of tokens, not millions, and no
-- query looks for one, so that there is no index but the key's. A row is never deleted: a revoked token is refused as
-- such, and it stays known who had which name.

create table token (
    id          uuid        constraint token_pkey primary key,
    name        text        not null constraint token_name_check check (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
    role        text        not null constraint token_role_check check (role in ('reader', 'writer', 'curator', 'admin')),
    hash        bytea       not null constraint token_hash_check check (octet_length(hash) = 32),
    create_time timestamptz not null,
    expire_time timestamptz,
    revoke_time timestamptz
);
comment on table token is 'API tokens; id, name, role, hash and times of making and expiry of a row never change';
comment on column token.name is 'whose it is, as changes record it; several tokens may have one name, so that one can take the place of another';
comment on column token.hash is 'SHA-256 of the secret, as it stands in the token';
comment on column token.expire_time is 'null for one that does not expire';
comment on column token.revoke_time is 'null for one that holds';
