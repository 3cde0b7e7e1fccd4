"""What Python's errors mean, in words for somebody who is learning, and what to look at."""

from __future__ import annotations

import re

_NOTES: tuple[tuple[str, str, str], ...] = (
    # The error, what its message holds (a pattern), and what that means.
    (
        "TypeError|AttributeError",
        r"'?NoneType'?",
        "A value is None here. Often a function was called for its result but ends without "
        "`return`, or changes its argument in place and returns nothing, as list.sort() and "
        "list.append() do. Look at where the value on this line comes from.",
    ),
    (
        "TypeError",
        r"not callable",
        "Something is called like a function but is none. Often a variable has the name of a "
        "function and hides it (`list = …`, `sum = …`), or a comma or operator is missing before "
        "the bracket.",
    ),
    (
        "TypeError",
        r"unsupported operand|can only concatenate|must be str, not|can't multiply",
        "The two values are of types that this operator can't join, such as text and a number. "
        "What input() and files give is text: turn it into a number with int() or float(), or a "
        "number into text with str() or an f-string.",
    ),
    (
        "TypeError",
        r"not supported between instances",
        "Values of these two types have no order, so they can't be compared. One of the two is "
        "probably text that should have been turned into a number, or None.",
    ),
    (
        "TypeError",
        r"positional argument|required keyword|unexpected keyword|takes (?:no|\d+)",
        "The call does not fit the function: too many or too few arguments, or a name that it does "
        "not know. Compare with the line where the function is defined. In a class, `self` counts "
        "as the first one and must stand in the definition.",
    ),
    (
        "TypeError",
        r"not subscriptable",
        "Square brackets ask for an item, and this value has none. Is it a function that should "
        "have been called, or a single value where a list is expected?",
    ),
    (
        "TypeError",
        r"not iterable|cannot unpack non-iterable",
        "A loop or an assignment to several names needs a collection, and this is a single value.",
    ),
    (
        "TypeError",
        r"unhashable",
        "Keys of dictionaries and members of sets must not change, so lists, dictionaries and sets "
        "can't be used. Use a tuple or a frozenset.",
    ),
    (
        "TypeError",
        r"object does not support item assignment",
        "Text and tuples can't be changed. Make a new one, or use a list.",
    ),
    (
        "TypeError",
        r"indices must be integers|list indices|string indices",
        "Lists and text are indexed by whole numbers. Division by / gives a float even where it "
        "comes out even: use //. If a dictionary is expected here, the value is not the one that "
        "you think.",
    ),
    (
        "TypeError",
        r"coroutine|was never awaited|can't be used in 'await'",
        "A function that is `async` gives a coroutine; its result is there only after `await`.",
    ),
    (
        "NameError",
        r"",
        "The name has no value when this line runs. Look for a typing mistake, a missing import, a "
        "name that exists inside another function only, or, in a notebook, a cell that was not run "
        "before this one.",
    ),
    (
        "UnboundLocalError",
        r"",
        "The function gives this name a value somewhere, which makes it local; on the way that was "
        "taken, that had not happened yet. Give it a value before the branches or the loop, or "
        "declare it `global` or `nonlocal` if the outer one is meant.",
    ),
    (
        "IndexError",
        r"",
        "The position is past the end. Positions go from 0 to len(…) - 1, so len(…) itself is "
        "one too far, and an empty collection has no position at all. Look at the range of the "
        "loop, at + 1 and - 1, and at what happens with an empty input.",
    ),
    (
        "KeyError",
        r"",
        "The dictionary (or table) has no such key. Print its keys; look for capitals, spaces, "
        "text against numbers. Where a key may be missing, use .get(key, default) or check "
        "`in` first.",
    ),
    (
        "AttributeError",
        r"",
        "This object has no attribute or method of this name. Look for a typing mistake, and at "
        "what type the object really has here: print(type(…)).",
    ),
    (
        "ValueError",
        r"invalid literal for int|could not convert string to float",
        "The text is no number: it may be empty, or hold spaces, a comma, a unit or a point. Check "
        "or clean what comes from the user or the file before it is converted.",
    ),
    (
        "ValueError",
        r"unpack",
        "As many names have to stand on the left as there are values on the right. Print the "
        "value, or look at what the function returns.",
    ),
    (
        "ValueError",
        r"operands could not be broadcast|shapes? .*not aligned|mismatch",
        "The arrays have shapes that do not fit each other. Print .shape of both, and look for a "
        "missing transpose, reshape or axis.",
    ),
    (
        "ValueError",
        r"truth value of (?:an array|a Series|a DataFrame)",
        "An array has many truth values, so `if`, `and` and `or` don't know which one is meant. "
        "Use .any() or .all(), and & and | with brackets.",
    ),
    (
        "ValueError",
        r"is not in list",
        "What is looked for is not there. Check with `in` first.",
    ),
    (
        "ZeroDivisionError",
        r"",
        "The divisor is 0 here. Usually that is the length of an empty list or a count that never "
        "grew. Decide what the result should be then, and check for it before dividing.",
    ),
    (
        "ModuleNotFoundError|ImportError",
        r"",
        "What is imported isn't there. Look for a typing mistake; if it is a package, it has to be "
        "installed where this program runs; if it is a file of yours, it must lie where the "
        "program starts. A file of yours with the name of a package hides the package.",
    ),
    (
        "FileNotFoundError",
        r"",
        "There is no such file in this place. A relative path counts from the folder in which the "
        "program was started, not from the file that the code is in.",
    ),
    (
        "PermissionError",
        r"",
        "The program may not do this with this file: it belongs to somebody else, is open "
        "elsewhere, or is a folder.",
    ),
    (
        "RecursionError",
        r"",
        "The function calls itself again and again without coming to an end. Check that there is a "
        "case that returns without a call, that every call comes nearer to it, and that no input "
        "steps over it (a negative number, for example).",
    ),
    (
        "RuntimeError",
        r"dictionary changed size|Set changed size",
        "A collection is changed while a loop goes over it. Go over a copy of it: "
        "`for x in list(items):`.",
    ),
    (
        "RuntimeError",
        r"asyncio.run\(\) cannot be called|event loop is already running",
        "A notebook runs an event loop already. Write `await …` instead of asyncio.run(…).",
    ),
    (
        "StopIteration|RuntimeError",
        r"StopIteration|^$",
        "The iterator has no further item. Give next() a default, or use a loop.",
    ),
    (
        "AssertionError",
        r"",
        "The condition after `assert` does not hold: what the code assumes here is not so. "
        "Print the values that it compares.",
    ),
    (
        "UnicodeDecodeError|UnicodeEncodeError",
        r"",
        "The file is not in the encoding that is assumed. Name it: open(…, encoding=…), with "
        "'utf-8' or, for files of old programs, 'cp1252' for example.",
    ),
    ("MemoryError", r"", "More memory is asked for than there is. Work in pieces, or lazily."),
    (
        "JSONDecodeError",
        r"",
        "The text is not JSON. It is often empty, or an HTML page that tells of an error: print "
        "its beginning.",
    ),
    (
        "KeyboardInterrupt",
        r"",
        "Somebody stopped the program at this line. If it seemed to hang, look at the loop or the "
        "wait that it is in: does its condition ever become false?",
    ),
    (
        "TimeoutError|ConnectionError|ConnectionRefusedError|Timeout",
        r"",
        "The other side did not answer. Check address, port and network, and handle the error.",
    ),
    ("OverflowError", r"", "The number is larger than this type can hold."),
    (
        "SyntaxError|IndentationError|TabError",
        r"",
        "Python can't read this line, so nothing ran. Often the cause stands just before it: a "
        "missing bracket, colon, comma or quote.",
    ),
)


def explain_error(kind: str, message: str, line: str) -> str:
    """Return what an error means.

    Args:
        kind: For example ``KeyError``; empty where it is not known.
        message: What it says.
        line: The line of code at which it happened.
    """
    shown = f" here, at `{line[:120]}`" if line else " here"
    what = f"{kind}: {message}".strip(": ") or "an error"
    begin = f"It stopped{shown}: {what}."
    for kinds, pattern, text in _NOTES:
        if kind in kinds.split("|") and re.search(pattern, message):
            return f"{begin} {text}"
    return begin
