"""The sales as DuckDB reads them from the warehouse: one JSON object, by day and by product.

Arguments: the folder of a workspace in the warehouse; `pattern` reads every file of the fact that a reader's pattern matches,
`manifest` those that the newest manifest names.
"""

import collections
import json
import pathlib
import sys

import duckdb

# Totals of a group of rows, by currency for money. Returned and refunded lines have negative quantities and amounts.
COUNTS = """
    select {key} as key,
        count(distinct order_id) filter (where kind = 'sold') as orders,
        coalesce(sum(quantity) filter (where kind = 'sold'), 0)::bigint as units,
        count(distinct order_id) filter (where kind = 'returned') as cancelled_orders,
        coalesce(-sum(quantity) filter (where kind = 'returned'), 0)::bigint as cancelled_units,
        count(distinct order_id) filter (where kind = 'refunded') as refunded_orders,
        coalesce(-sum(quantity) filter (where kind = 'refunded'), 0)::bigint as refunded_units
    from fact group by all order by all
"""
SUMS = """
    select {key} as key, currency,
        sum(amount) filter (where kind = 'sold')::bigint as revenue,
        -sum(amount) filter (where kind = 'returned')::bigint as cancelled_revenue,
        -sum(amount) filter (where kind = 'refunded')::bigint as refunded_revenue
    from fact group by all order by all
"""
KEYS = ["'day/' || strftime(day, '%Y-%m-%d')", "'sku/' || sku"]

# Checks: each line of an event once, amounts that follow from prices, rows that match their day and their dimensions.
CHECKS = {
    "rows": "select count(*) from fact",
    "lines": "select count(*) from (select distinct event_id, line from fact)",
    "wrong_amounts": """
        select count(*) from fact
        where amount <> quantity * unit_price or kind not in ('sold', 'returned', 'refunded')
    """,
    "wrong_days": """
        select count(*) from fact
        where strftime(day, '%Y%m%d')::int <> date_key
        or epoch_us("at") // 86400000000 <> day - date '1970-01-01'
    """,
    "without_dimension": """
        select count(*) from fact
        left join product using (sku) left join customer using (customer_id) left join calendar using (date_key)
        where product.sku is null or customer.customer_id is null or calendar.date is distinct from fact.day
    """,
}


def files_of_fact(folder, way):
    if way == "pattern":
        return sorted(str(file) for file in folder.glob("fact_order_lines/day=*/*.parquet"))
    manifest = json.loads(max((folder / "_manifest").glob("*.json")).read_text())
    return sorted(str(folder / file["path"]) for day in manifest["facts"].values() for file in day)


def main(folder, way):
    folder = pathlib.Path(folder)
    files = files_of_fact(folder, way)
    database = duckdb.connect()
    database.read_parquet(files, hive_partitioning=True).create_view("fact")
    for table, name in [("product", "dim_product"), ("customer", "dim_customer"), ("calendar", "dim_date")]:
        database.read_parquet(str(folder / name / "*.parquet")).create_view(table)
    totals = {}
    for key in KEYS:
        counts = database.sql(COUNTS.format(key=key))
        for row in counts.fetchall():
            totals[row[0]] = dict(zip(counts.columns, row), revenue={}, cancelled_revenue={}, refunded_revenue={})
        for group, currency, revenue, cancelled, refunded in database.sql(SUMS.format(key=key)).fetchall():
            if revenue is not None:
                totals[group]["revenue"][currency] = revenue
            if cancelled is not None:
                totals[group]["cancelled_revenue"][currency] = cancelled
            if refunded is not None:
                totals[group]["refunded_revenue"][currency] = refunded
    checks = {name: database.sql(query).fetchall()[0][0] for name, query in CHECKS.items()}
    days = collections.Counter(pathlib.Path(file).parent.name for file in files)
    print(json.dumps({"files": days, "totals": totals, "checks": checks}))


main(*sys.argv[1:])
