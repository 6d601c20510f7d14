-- The reports that refer to a participant decide which of several participants a person is called by. The account names
-- the person also where reports refer only to its aliases.

alter table meeting_participant
    add column reported boolean not null default true;
comment on column meeting_participant.reported is 'false where the account names the participant and no report or ruling refers to it: it is the person of an alias';
-- The meetings of a participant are counted by the index alone.
alter table meeting_participant
    drop constraint meeting_participant_pkey,
    add constraint meeting_participant_pkey primary key (participant, meeting) include (settled, reported);
