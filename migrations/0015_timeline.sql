-- The server whose history the epoch belongs to. After a failover the new server's history may lack changes of the old
-- one, whose positions would then be given to other changes in the same epoch. So the first commit on a server with
-- another history begins a new epoch, unless it is known that the server has every change (see src/store/epoch.rs).

-- The history of this server: its cluster, its timeline, and the table of the feed, which a restored dump makes anew.
-- Null while the server is in recovery, where the history may still change; empty if the server does not tell.
create function server_history(feed_table oid) returns text language plpgsql as $$
begin
    if pg_is_in_recovery() then
        return null;
    end if;
    return (select system_identifier from pg_control_system())
        || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)
        || '/' || feed_table;
exception
    when insufficient_privilege or feature_not_supported or undefined_function or object_not_in_prerequisite_state then
        return '';
end
$$;

alter table feed
    add column history text,
    add column synchronous boolean not null default false,
    add column synchronous_from timestamptz not null default '-infinity',
    add column epoch_number bigint not null default 0;
comment on column feed.history is 'server_history() of the server that gave the last positions';
comment on column feed.synchronous is
    'every commit of this history, since the transaction that set it, waits until a standby has written it to disk';
comment on column feed.synchronous_from is
    'the mark is not set before this time, so that sessions with different settings do not end an epoch with each commit';
comment on column feed.epoch_number is 'counts the epochs, so that an older one is told from a newer one';

update feed
set history = nullif(server_history(tableoid), '');
