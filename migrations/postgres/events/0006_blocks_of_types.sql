-- Where events of a type are: in which blocks of 64 positions. An index of events by type would have an entry for each
-- event; here a type has one for each block that it occurs in, and a reader looks through the block.
create table type_blocks (
    type_no bigint not null,
    partition_no bigint not null,
    -- position >> 6
    block bigint not null,
    primary key (type_no, partition_no, block)
);

insert into type_blocks
select distinct type_no, partition_no, position >> 6 from events;

drop index events_by_type;
