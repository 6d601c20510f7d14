-- The keys of a participant are stored before the participants that are affected by them are settled. If the service is
-- killed in between, the next one settles them.

create table identity_seed (
    participant uuid not null,
    constraint identity_seed_pkey primary key (participant)
);
comment on table identity_seed is 'participants to settle because others got or lost keys';
