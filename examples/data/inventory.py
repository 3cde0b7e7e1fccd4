"""Stock keeping for a small shop: what is on the shelves, what was sold, what to reorder.

Usage:
    python inventory.py stock.db receive WIDGET-7 40
    python inventory.py stock.db sell WIDGET-7 3
    python inventory.py stock.db report
"""

import argparse
import csv
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    sku TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    unit_price REAL NOT NULL,
    reorder_point INTEGER NOT NULL DEFAULT 5
);
CREATE TABLE IF NOT EXISTS movements (
    id INTEGER PRIMARY KEY,
    sku TEXT NOT NULL REFERENCES items (sku),
    quantity INTEGER NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL
);
"""

VAT = 0.19


@dataclass(frozen=True)
class Item:
    """One kind of thing that the shop sells; prices are in euros, without VAT."""

    sku: str
    name: str
    unit_price: float
    reorder_point: int = 5

    @property
    def gross_price(self):
        return round(self.unit_price * (1 + VAT), 2)


class NotEnoughStock(Exception):
    """More was asked for than there is."""


class Inventory:
    """The stock, kept in a SQLite file as a list of movements in and out."""

    def __init__(self, path):
        self.connection = sqlite3.connect(path)
        self.connection.executescript(SCHEMA)

    def add_item(self, item):
        self.connection.execute(
            "INSERT INTO items (sku, name, unit_price, reorder_point) VALUES (?, ?, ?, ?)",
            (item.sku, item.name, item.unit_price, item.reorder_point),
        )
        self.connection.commit()

    def item(self, sku):
        row = self.connection.execute(
            "SELECT sku, name, unit_price, reorder_point FROM items WHERE sku = ?", (sku,)
        ).fetchone()
        if row is None:
            raise KeyError(sku)
        return Item(*row)

    def find_items(self, name):
        """Return all items whose name holds ``name``, in any case."""
        query = f"SELECT sku, name, unit_price, reorder_point FROM items WHERE name LIKE '%{name}%'"
        return [Item(*row) for row in self.connection.execute(query)]

    def on_hand(self, sku):
        total = self.connection.execute(
            "SELECT COALESCE(SUM(quantity), 0) FROM movements WHERE sku = ?", (sku,)
        ).fetchone()
        return total[0]

    def move(self, sku, quantity, reason, at=None):
        at = at or datetime.now()
        self.connection.execute(
            "INSERT INTO movements (sku, quantity, reason, at) VALUES (?, ?, ?, ?)",
            (sku, quantity, reason, at.isoformat()),
        )
        self.connection.commit()

    def receive(self, sku, quantity):
        if quantity <= 0:
            raise ValueError("quantity must be positive")
        self.move(sku, quantity, "received")

    def sell(self, sku, quantity, discounts=[]):
        """Take ``quantity`` from the stock and return what the customer pays."""
        available = self.on_hand(sku)
        if quantity > available:
            raise NotEnoughStock(f"{sku}: {quantity} asked for, {available} on hand")
        self.move(sku, -quantity, "sold")
        if quantity >= 10:
            discounts.append(0.05)
        price = self.item(sku).gross_price * quantity
        for discount in discounts:
            price *= 1 - discount
        return round(price, 2)

    def to_reorder(self):
        """Return (item, quantity) of everything that runs low, with what brings it back up."""
        rows = self.connection.execute(
            """
            SELECT items.sku, items.name, items.unit_price, items.reorder_point,
                   COALESCE(SUM(movements.quantity), 0) AS on_hand
            FROM items LEFT JOIN movements ON movements.sku = items.sku
            GROUP BY items.sku
            HAVING on_hand < items.reorder_point
            ORDER BY items.name
            """
        ).fetchall()
        orders = []
        for row in rows:
            orders.append((Item(*row[:4]), 2 * row[3] - row[4]))
        return orders

    def turnover(self, days=30):
        """Return the revenue of the last ``days`` days by SKU, without VAT."""
        since = datetime.combine(date.today() - timedelta(days=days), datetime.min.time())
        rows = self.connection.execute(
            """
            SELECT movements.sku, -SUM(movements.quantity * items.unit_price)
            FROM movements JOIN items USING (sku)
            WHERE movements.reason = 'sold' AND movements.at >= ?
            GROUP BY movements.sku
            """,
            (since.isoformat(),),
        )
        return {sku: round(revenue, 2) for sku, revenue in rows}

    def best_sellers(self, days=30):
        """Return the SKUs of what was sold, by revenue, the highest first."""
        revenue = self.turnover(days)
        return list(sorted(revenue, key=revenue.get, reverse=True))


def load_catalogue(inventory, path):
    """Add every item of a CSV file with the columns sku, name, price and reorder_point."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            item = Item(
                sku=line["sku"].strip().upper(),
                name=line["name"].strip(),
                unit_price=parse_price(line["price"]),
                reorder_point=int(line["reorder_point"] or 5),
            )
            inventory.add_item(item)


def back_up(database, folder):
    """Copy the database into ``folder``, with today's date in its name."""
    target = Path(folder) / f"stock-{date.today():%Y-%m-%d}.db"
    subprocess.run(f"cp {database} {target}", shell=True, check=True)
    return target


def report(inventory, out=sys.stdout):
    print(f"{'SKU':<12}{'Name':<24}{'Order':>8}", file=out)
    for item, quantity in inventory.to_reorder():
        print(f"{item.sku:<12}{item.name:<24}{quantity:>8}", file=out)
    print(f"Sells best: {', '.join(inventory.best_sellers()[:3]) or 'nothing'}", file=out)
    total = sum(inventory.turnover().values())
    print(f"Turnover of the last 30 days: € {total:,.2f}", file=out)


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Keep the stock of a small shop.")
    parser.add_argument("database")
    parser.add_argument("command", choices=["receive", "sell", "report"])
    parser.add_argument("sku", nargs="?")
    parser.add_argument("quantity", nargs="?", type=int)
    options = parser.parse_args(arguments)
    inventory = Inventory(options.database)
    if options.command == "receive":
        inventory.receive(options.sku, options.quantity)
    elif options.command is "sell":
        print(f"To pay: € {inventory.sell(options.sku, options.quantity):.2f}")
    else:
        report(inventory)


if __name__ == "__main__":
    main()
