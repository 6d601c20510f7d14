-- A meeting that was merged into another keeps its row, and lists leave it out.

alter table meeting
    add column merged_into uuid;
comment on column meeting.merged_into is 'the meeting that its reports moved to; null while it stands by itself';

-- A participant whom an active report names cannot be deleted, even where a ruling leaves him out of the account.
alter table meeting_participant
    add column settled boolean not null default true;
comment on column meeting_participant.settled is 'false where only reports name the participant, and the account, under a ruling, does not; filters pass over it';
