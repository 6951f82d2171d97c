-- Where events of a type are: in which blocks of 64 positions. An index of events by type would have an entry for each
-- event; here a type has one for each block that it occurs in, and a reader looks through the block.
create table type_blocks (
    type_no integer not null,
    partition_no integer not null,
    -- position >> 6
    block integer not null,
    primary key (type_no, partition_no, block)
) strict, without rowid;

insert into type_blocks
select distinct type_no, place >> 40, (place & 1099511627775) >> 6 from events;

drop index events_by_type;
