-- A report that was taken back is still there, and no longer counts.

alter table report
    add column retract_time timestamptz;
comment on column report.retract_time is 'null while it is active';

alter table meeting
    add column review smallint not null default 1;
comment on column meeting.review is 'readout.v1.Meeting.Review; lists leave out 3, a meeting without an active report';
