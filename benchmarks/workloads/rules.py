"""The rule engine example: its shipping rule over two hundred orders, some with missing fields.

The rules' lists are mutable, so the guarded residual looks at each list that it passes.
"""

from __future__ import annotations

from typing import Any

from examples.rules import SHIPPING, compile_rule, make_orders

from benchmarks.workload import EXAMPLE, Case, Workload

ORDERS = make_orders(200)
SPECS: Any = SHIPPING["all"]
COUNTRIES = SPECS[6]["any"][1][2]


def residual(record: Any) -> Any:
    # ["total", ">=", 20]
    try:
        value = record["total"]
    except (KeyError, TypeError):
        return False
    try:
        if not value >= 20:
            return False
    except TypeError:
        return False
    # ["total", "<", 5000]
    try:
        value = record["total"]
    except (KeyError, TypeError):
        return False
    try:
        if not value < 5000:
            return False
    except TypeError:
        return False
    # ["weight", "<=", 30]
    try:
        value = record["weight"]
    except (KeyError, TypeError):
        return False
    try:
        if not value <= 30:
            return False
    except TypeError:
        return False
    # ["items", "<", 12]
    try:
        value = record["items"]
    except (KeyError, TypeError):
        return False
    try:
        if not value < 12:
            return False
    except TypeError:
        return False
    # {"not": ["status", "==", "blocked"]}
    try:
        value = record["status"]
    except (KeyError, TypeError):
        pass
    else:
        try:
            if value == "blocked":
                return False
        except TypeError:
            pass
    # {"not": {"all": [["kind", "==", "gift"], ["total", "<", 30]]}}
    try:
        value = record["kind"]
    except (KeyError, TypeError):
        found = False
    else:
        try:
            found = value == "gift"
        except TypeError:
            found = False
    if found:
        try:
            value = record["total"]
        except (KeyError, TypeError):
            pass
        else:
            try:
                if value < 30:
                    return False
            except TypeError:
                pass
    # {"all": [["customer.country", "==", "FR"], ["total", ">=", 50]]}
    try:
        value = record["customer"]["country"]
    except (KeyError, TypeError):
        found = False
    else:
        try:
            found = value == "FR"
        except TypeError:
            found = False
    if found:
        try:
            value = record["total"]
        except (KeyError, TypeError):
            found = False
        else:
            try:
                found = value >= 50
            except TypeError:
                found = False
    if not found:
        # ["customer.country", "in", COUNTRIES]
        try:
            value = record["customer"]["country"]
        except (KeyError, TypeError):
            return False
        try:
            if value not in COUNTRIES:
                return False
        except TypeError:
            return False
    # ["express", "==", True]
    try:
        value = record["express"]
    except (KeyError, TypeError):
        pass
    else:
        try:
            if value == True:  # noqa: E712
                return True
        except TypeError:
            pass
    # ["customer.zip", "starts with", "10"]
    try:
        value = record["customer"]["zip"]
    except (KeyError, TypeError):
        pass
    else:
        try:
            if value.startswith("10"):
                return True
        except TypeError:
            pass
    # {"all": [{"exists": "coupon"}, ["items", "<", 5]]}
    try:
        record["coupon"]
    except (KeyError, TypeError):
        return False
    try:
        value = record["items"]
    except (KeyError, TypeError):
        return False
    try:
        return True if value < 5 else False
    except TypeError:
        return False


def cells(function: Any) -> dict[str, Any]:
    names = function.__code__.co_freevars
    return {name: cell.cell_contents for name, cell in zip(names, function.__closure__)}


def names_of(rule: Any) -> list[str]:
    """The list of field names that a comparison, or an existence test, walks along."""
    names: list[str] = cells(cells(rule)["fetch"])["names"]
    return names


def make_guarded(original: Any) -> Any:
    """The residual behind checks of every list on the way: those of rules and those of field names."""
    outer = cells(original)["rules"]
    total, ceiling, weight, items, active, no_gift, place, reason = outer
    blocked = cells(active)["rule"]
    gifts = cells(cells(no_gift)["rule"])["rules"]
    kind, small = gifts
    places = cells(place)["rules"]
    abroad, near = places
    french = cells(abroad)["rules"]
    country, dear = french
    reasons = cells(reason)["rules"]
    express, zip_, both = reasons
    pair = cells(both)["rules"]
    coupon, few = pair
    names1, names2, names3, names4 = names_of(total), names_of(ceiling), names_of(weight), names_of(items)
    names5, names6, names7, names8 = names_of(blocked), names_of(kind), names_of(small), names_of(country)
    names9, names10, names11 = names_of(dear), names_of(near), names_of(express)
    names12, names13, names14 = names_of(zip_), names_of(coupon), names_of(few)

    def guarded(record: Any) -> Any:
        # ["total", ">=", 20]
        if len(outer) != 8 or outer[0] is not total or len(names1) != 1 or names1[0] != "total":
            return original(record)
        try:
            value = record["total"]
        except (KeyError, TypeError):
            return False
        try:
            if not value >= 20:
                return False
        except TypeError:
            return False
        # ["total", "<", 5000]
        if len(outer) != 8 or outer[1] is not ceiling or len(names2) != 1 or names2[0] != "total":
            return original(record)
        try:
            value = record["total"]
        except (KeyError, TypeError):
            return False
        try:
            if not value < 5000:
                return False
        except TypeError:
            return False
        # ["weight", "<=", 30]
        if len(outer) != 8 or outer[2] is not weight or len(names3) != 1 or names3[0] != "weight":
            return original(record)
        try:
            value = record["weight"]
        except (KeyError, TypeError):
            return False
        try:
            if not value <= 30:
                return False
        except TypeError:
            return False
        # ["items", "<", 12]
        if len(outer) != 8 or outer[3] is not items or len(names4) != 1 or names4[0] != "items":
            return original(record)
        try:
            value = record["items"]
        except (KeyError, TypeError):
            return False
        try:
            if not value < 12:
                return False
        except TypeError:
            return False
        # {"not": ["status", "==", "blocked"]}
        if len(outer) != 8 or outer[4] is not active or len(names5) != 1 or names5[0] != "status":
            return original(record)
        try:
            value = record["status"]
        except (KeyError, TypeError):
            pass
        else:
            try:
                if value == "blocked":
                    return False
            except TypeError:
                pass
        # {"not": {"all": [["kind", "==", "gift"], ["total", "<", 30]]}}
        if len(outer) != 8 or outer[5] is not no_gift or len(gifts) != 2 or gifts[0] is not kind:
            return original(record)
        if len(names6) != 1 or names6[0] != "kind":
            return original(record)
        try:
            value = record["kind"]
        except (KeyError, TypeError):
            found = False
        else:
            try:
                found = value == "gift"
            except TypeError:
                found = False
        if found:
            if len(gifts) != 2 or gifts[1] is not small or len(names7) != 1 or names7[0] != "total":
                return original(record)
            try:
                value = record["total"]
            except (KeyError, TypeError):
                pass
            else:
                try:
                    if value < 30:
                        return False
                except TypeError:
                    pass
        # {"all": [["customer.country", "==", "FR"], ["total", ">=", 50]]}
        if len(outer) != 8 or outer[6] is not place or len(places) != 2 or places[0] is not abroad:
            return original(record)
        if len(french) != 2 or french[0] is not country:
            return original(record)
        if len(names8) != 2 or names8[0] != "customer" or names8[1] != "country":
            return original(record)
        try:
            value = record["customer"]["country"]
        except (KeyError, TypeError):
            found = False
        else:
            try:
                found = value == "FR"
            except TypeError:
                found = False
        if found:
            if len(french) != 2 or french[1] is not dear or len(names9) != 1 or names9[0] != "total":
                return original(record)
            try:
                value = record["total"]
            except (KeyError, TypeError):
                found = False
            else:
                try:
                    found = value >= 50
                except TypeError:
                    found = False
        if not found:
            # ["customer.country", "in", COUNTRIES]
            if len(places) != 2 or places[1] is not near:
                return original(record)
            if len(names10) != 2 or names10[0] != "customer" or names10[1] != "country":
                return original(record)
            try:
                value = record["customer"]["country"]
            except (KeyError, TypeError):
                return False
            try:
                if value not in COUNTRIES:
                    return False
            except TypeError:
                return False
        # ["express", "==", True]
        if len(outer) != 8 or outer[7] is not reason or len(reasons) != 3 or reasons[0] is not express:
            return original(record)
        if len(names11) != 1 or names11[0] != "express":
            return original(record)
        try:
            value = record["express"]
        except (KeyError, TypeError):
            pass
        else:
            try:
                if value == True:  # noqa: E712
                    return True
            except TypeError:
                pass
        # ["customer.zip", "starts with", "10"]
        if len(reasons) != 3 or reasons[1] is not zip_:
            return original(record)
        if len(names12) != 2 or names12[0] != "customer" or names12[1] != "zip":
            return original(record)
        try:
            value = record["customer"]["zip"]
        except (KeyError, TypeError):
            pass
        else:
            try:
                if value.startswith("10"):
                    return True
            except TypeError:
                pass
        # {"all": [{"exists": "coupon"}, ["items", "<", 5]]}
        if len(reasons) != 3 or reasons[2] is not both or len(pair) != 2 or pair[0] is not coupon:
            return original(record)
        if len(names13) != 1 or names13[0] != "coupon":
            return original(record)
        try:
            record["coupon"]
        except (KeyError, TypeError):
            return False
        if len(pair) != 2 or pair[1] is not few or len(names14) != 1 or names14[0] != "items":
            return original(record)
        try:
            value = record["items"]
        except (KeyError, TypeError):
            return False
        try:
            return True if value < 5 else False
        except TypeError:
            return False

    return guarded


def build() -> Case:
    rule = compile_rule(SHIPPING)

    def drive(call: Any) -> list[bool]:
        return [call(order) for order in ORDERS]

    return Case(rule, drive, len(ORDERS), residual, make_guarded(rule))


WORKLOAD = Workload("rules", EXAMPLE, "record", build)
