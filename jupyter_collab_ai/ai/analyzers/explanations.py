"""What a rule is about, in words for somebody who is learning: what it is, and when it bites.

The longest prefix of a rule's code decides; where none fits, the tool's own message stands.
"""

from __future__ import annotations

_TEXTS: dict[str, str] = {
    # ---------------------------------------------------------------- bugs: names
    "F821": "This name is used but nothing in the file defines it. As soon as this line runs, "
    "Python raises NameError. Look for a typing mistake, a missing import, or a name that "
    "exists inside another function only.",
    "F822": "__all__ lists a name that the file does not define, so `from … import *` fails "
    "with AttributeError.",
    "F823": "The name is given a value further down in this function, which makes it local to "
    "the function. Reading it here, before that, raises UnboundLocalError, even if a global "
    "of the same name exists.",
    "F811": "The same name is defined twice and the first definition is never used: the second "
    "one silently replaces it. Two functions or tests of one name are the usual case.",
    "F632": "`is` asks whether two things are the same object, not whether they are equal. With "
    "numbers or text that are equal it may be True today and False tomorrow: the string that "
    "a user types in is never the same object as one in the code. Compare with `==`.",
    "F601": "The dictionary has this key more than once. Python keeps the last value and "
    "silently drops the ones before.",
    "F602": "The dictionary has this key more than once. Python keeps the last value and "
    "silently drops the ones before.",
    "F631": "A pair of brackets with a comma makes a tuple, and a tuple that is not empty counts "
    "as true. So this assertion can never fail. Leave the outer brackets out.",
    "F634": "A pair of brackets with a comma makes a tuple, and a tuple that is not empty counts "
    "as true. So this condition holds for every input.",
    "F633": "In Python 3 `print >> file` is no printing but a shift, which raises TypeError. "
    "Write `print(…, file=file)`.",
    "F50": "What is filled into the text does not fit its % placeholders, in number, name or "
    "kind. The line raises an error, or drops a value, each time it runs.",
    "F52": "What is given to format() does not fit the braces in the text, in number or name. "
    "The line raises an error, or drops a value, each time it runs.",
    # ---------------------------------------------------------------- bugs: flake8-bugbear
    "B002": "Python has no ++ or --: this is two signs in a row and changes nothing. Write `+= 1`.",
    "B003": "Giving os.environ a new dictionary does not change the environment: programs that "
    "are started later still see the old one. Use os.environ.clear() and update().",
    "B005": "strip() with several characters removes any of them from both ends, in any order, "
    'not this text as a whole: "xampl.example".strip(".example") leaves nothing. Use '
    "removeprefix() or removesuffix().",
    "B006": "The default value is made once, when the function is defined, and then shared by "
    "all calls. What one call adds to it is still there in the next call that leaves the "
    "argument out. Use None as the default and make a new object inside the function.",
    "B012": "return, break or continue in a finally block throws away any exception that is on "
    "its way, so errors disappear without a trace.",
    "B015": "The result of this comparison is used for nothing. Probably `=` was meant instead "
    "of `==`, or an `assert` or `return` is missing.",
    "B016": "Only exceptions can be raised. Raising a plain value ends in TypeError instead of "
    "the error that was meant.",
    "B018": "This expression is worked out and the result thrown away. Perhaps the brackets of a "
    "call are missing, or its result should be kept.",
    "B020": "The loop's variable has the same name as what is looped over, so after the first "
    "round the original is gone.",
    "B021": "An f-string is not stored as documentation, so this docstring is lost.",
    "B022": "suppress() without an exception type suppresses nothing.",
    "B023": "The inner function looks the loop's variable up when it is called, not when it is "
    "made. Called after the loop, all of them see its last value. Bind it with a default, as "
    "in `lambda x=x: …`.",
    "B025": "The same exception is caught twice; the second branch can never run.",
    "B026": "A *list after a keyword argument is still filled in from the left, which is easy "
    "to misread and can give one parameter two values.",
    "B029": "except with an empty tuple catches nothing.",
    "B030": "What follows except has to be an exception class or a tuple of them; anything else "
    "raises TypeError in the very moment in which an error should be handled.",
    "B031": "Each group of groupby() can be read once. Read again, it is empty.",
    "B032": "This is an annotation without a value: it assigns nothing. Probably `=` was meant.",
    "B004": "An object may have `__call__` and still not be callable, as it is looked up on its "
    "class. Use callable(x).",
    "B017": "This test also passes for a typing mistake in the block, as every error is an "
    "Exception. Name the error that is expected.",
    "F402": "The loop gives the imported name another value; after it, the module is gone.",
    "F901": "NotImplemented is a value for comparisons, not an error; raising it raises TypeError. "
    "Raise NotImplementedError.",
    "RUF024": "All keys get the very same object: what is added for one key, all others have too.",
    "B033": "A set holds each value once, so the repeated one does nothing; another value may "
    "have been meant.",
    "B035": "The key is the same in every round, so only the last value is left in the dictionary.",
    "B039": "The default of a context variable is shared by all contexts; what one of them adds "
    "to it, all others see.",
    # ---------------------------------------------------------------- bugs: pylint
    "PLE0100": "yield makes __init__ a generator, so creating an object raises TypeError.",
    "PLE0101": "__init__ has to return None; returning a value raises TypeError when an object "
    "is made.",
    "PLE0302": "Python calls this special method with a fixed number of arguments, which this "
    "signature does not take; the call raises TypeError.",
    "PLE03": "Python wants another type from this special method and raises TypeError when it "
    "gets this one.",
    "PLE0604": "__all__ may hold text only; `from … import *` fails with TypeError.",
    "PLE0605": "__all__ has to be a list or a tuple of text.",
    "PLE0643": "The index lies outside of what is indexed, so this raises IndexError.",
    "PLE0704": "A bare raise repeats the error that is being handled. Outside of an except block "
    "there is none, and RuntimeError is raised instead.",
    "PLE1132": "The same argument is given twice, which raises TypeError.",
    "PLE1205": "More values than placeholders are given to the logger, so nothing useful is "
    "logged but an error of the logging itself.",
    "PLE1206": "Fewer values than placeholders are given to the logger, so nothing useful is "
    "logged but an error of the logging itself.",
    "PLE13": "The placeholder and the value do not fit each other: this raises an error when the "
    "line runs, or strips other characters than was meant.",
    "PLE2502": "Characters that turn the direction of writing make this line look different from "
    "what Python reads: what seems to be a comment may run. Somebody may have hidden code that "
    "way. Remove them, or write them as \\u202e.",
    "PLE25": "An invisible character stands in the text here. Programs see it, people do not: "
    "comparisons fail that look right.",
    "PLW0120": "else after a loop runs whenever the loop ends without break. There is no break "
    "here, so it always runs; perhaps a break is missing or else belongs to an if.",
    "PLW0127": "The variable is assigned to itself, which changes nothing. Another name was "
    "probably meant, such as `self.name = name`.",
    "PLW0128": "The same name stands twice on the left side; the first value is lost at once.",
    "PLW0129": "An assertion on a fixed text never checks anything.",
    "PLW0131": "The walrus operator on its own line is a plain assignment; a condition around it "
    "may have been lost.",
    "PLW0133": "The exception is made but not raised: the program goes on as if all were well. "
    "Put `raise` in front.",
    "PLW0177": "NaN is equal to nothing, not even to itself, so this comparison has the same "
    "result for every input. Use math.isnan().",
    "PLW0245": "super without brackets is the class `super` itself; attributes are looked for in "
    "the wrong place.",
    "PLW0711": "`except A or B` catches only one of the two. Write `except (A, B)`.",
    "PLW1501": "open() does not know this mode and raises ValueError.",
    "PLW1507": "A shallow copy of os.environ still changes the real environment.",
    "PLW1508": "Variables of the environment are always text; with this default the type depends "
    "on whether the variable is set.",
    "PLW1509": "preexec_fn runs between fork and exec; in a program with threads it can hang "
    "for ever.",
    "PLW1510": "Without check=True a command that fails is taken for one that worked, and the "
    "program goes on with what it did not get. Say check=True, or check=False on purpose.",
    "PLR0124": "Something is compared with itself, so the result is the same for every input. "
    "One of the two names is probably wrong.",
    "PLR0133": "Two fixed values are compared, so the result never changes.",
    "PLR1704": "A parameter gets a new value here; what the caller passed is lost from this line "
    "on.",
    # ---------------------------------------------------------------- bugs: others
    "RUF006": "Nobody keeps this task. Python may collect it as garbage while it runs, so its "
    "work stops in the middle, now and then. Keep a reference until it is done.",
    "RUF008": "This default is shared by all objects of the class: what one of them adds to it, "
    "all others have too. Use field(default_factory=…).",
    "RUF009": "The call is made once, when the class is defined, and all objects share its "
    "result. Use field(default_factory=…).",
    "RUF016": "Lists and text are indexed by whole numbers or slices; anything else raises "
    "TypeError.",
    "RUF018": "With `python -O` assertions are left out, and the assignment in this one with them.",
    "RUF026": "defaultdict takes its factory by position; by name it becomes a key instead.",
    "RUF030": "print() returns None, so the assertion fails with the message None.",
    "RUF032": "The number is a float before Decimal sees it: Decimal(0.1) is "
    "0.1000000000000000055…. Give it as text.",
    "RUF034": "Both branches are the same, so the condition changes nothing.",
    "RUF060": "Nothing is in an empty collection, so the result is the same for every input.",
    "E721": "Comparing types by == leaves out subclasses: True is an int, but type(True) == int "
    "is False. Use isinstance(), or `is` where exactly this type is meant.",
    "E722": "A bare except catches everything, also KeyboardInterrupt and SystemExit: the "
    "program can't be stopped, and typing mistakes in the block are swallowed. Name the "
    "exceptions that you expect.",
    "LOG": "The logger is used in a way that loses or misplaces what is logged.",
    "INT": "The text is put together before it is translated, so no translation is ever found.",
    "YTT": "Python's version is compared as text or in parts: 3.10 comes before 3.9 that way. "
    "Compare sys.version_info with a tuple.",
    "FAST003": "The path has a parameter that the function does not take, so its value is lost.",
    "PIE794": "The class has this field twice; the second one wins.",
    "PIE796": "Two members of the enumeration have the same value, which makes one a mere alias "
    "of the other.",
    "PIE800": "Spreading a fixed dictionary into another one does nothing but hide its keys.",
    "TRY203": "The error is caught only to be raised again, so the try has no effect. Something "
    "may have been forgotten in the handler.",
    "T100": "A breakpoint was left in: the program stops here and waits for a person.",
    # ---------------------------------------------------------------- performance
    "PERF101": "The list is copied only to be looped over. With many items that costs time and "
    "memory for nothing.",
    "PERF102": "Keys and values are taken but only one of the two is used; .keys() or .values() "
    "says so and does less.",
    "PERF401": "The list grows by one call of append() a round. A comprehension makes it in one "
    "go, which is about a third faster and shows at a glance what goes in.",
    "PERF402": "The loop only copies. list(…) does it in one go and several times faster.",
    "PERF403": "The dictionary grows one item a round; a dictionary comprehension makes it in "
    "one go.",
    "C4": "A list, set or dictionary is made only to be turned into another one at once. Leave "
    "the step in between out; with many items it costs time and memory.",
    "C413": "sorted() returns a list already, so list() around it copies all items once more for "
    "nothing.",
    "C419": "The list is built to its end before all() or any() looks at it. Without the square "
    "brackets they stop at the first item that decides.",
    "RUF015": "The whole collection is copied into a list to take its first item. next(iter(…)) "
    "takes one step.",
    "RUF017": "sum() of lists copies everything so far for each list that is added: with twice "
    "as many lists it takes four times as long. Use itertools.chain.from_iterable().",
    "B019": "The cache keeps every object alive whose method was ever called, so memory is never "
    "freed. Cache outside of the class, or per object with cached_property.",
    "PLC0206": "The dictionary is searched again for each key although the loop could have the "
    "value too: use .items().",
    "PLC0208": "A set is built only to be looped over; a tuple does it without hashing.",
    "SIM118": "`in dictionary` looks the key up directly; .keys() makes an object for it first.",
    "PLR1714": "The same name is compared several times; one `in (…)` says it once.",
    "ASYNC": "This call makes everything wait, not only this coroutine: while it lasts, no other "
    "task of the program runs and no other request is answered. Use the asynchronous version "
    "or asyncio.to_thread().",
    # ---------------------------------------------------------------- security
    "S102": "exec() runs any text as a program. Whoever can influence the text, can do all that "
    "this program can do.",
    "S103": "With these permissions every user of the machine may read, change or run the file.",
    "S104": "The server listens on all network interfaces, so not only this machine can reach it.",
    "S105": "A password or key seems to stand in the code. Whoever can read the code has it, for "
    "ever, as it stays in the history of versions. Read it from the environment.",
    "S106": "A password or key seems to stand in the code. Whoever can read the code has it, for "
    "ever, as it stays in the history of versions. Read it from the environment.",
    "S107": "A password or key seems to stand in the code. Whoever can read the code has it, for "
    "ever, as it stays in the history of versions. Read it from the environment.",
    "S108": "Others on the machine can create this well-known file first, as a link to a file of "
    "yours for example. Use the module tempfile.",
    "S110": "The error is swallowed without a word. When this goes wrong, nobody will ever know; "
    "also an attack can pass unseen. Log it, or catch only what is expected.",
    "S112": "The error is swallowed without a word and the loop goes on. Log it, or catch only "
    "what is expected.",
    "S113": "Without a timeout, a server that does not answer makes this program wait for ever.",
    "S201": "With debug=True anybody who causes an error on the page can run Python on the server.",
    "S202": "An archive can hold names such as ../../etc/passwd; unpacking them overwrites files "
    'anywhere. Pass filter="data".',
    "S301": "Loading a pickle runs whatever its author put in. From a file or message that "
    "somebody else can write, that is their program running as you. Use JSON for data.",
    "S302": "marshal is made for Python's own files; data of others can crash or take over the "
    "program.",
    "S303": "This hash can be forged: two contents with the same hash can be made in seconds.",
    "S304": "This cipher can be broken with today's computers.",
    "S305": "Encrypted block by block, equal pieces stay equal, so patterns show through.",
    "S306": "Between the choice of the name and the use of the file somebody else can create it.",
    "S307": "eval() runs any expression: for the input `__import__('os').system('…')` it runs a "
    "command. For plain values use ast.literal_eval().",
    "S308": "Marked as safe, text that a user wrote reaches the page as it is, scripts too.",
    "S310": "An address from outside can also be file:/etc/passwd or a server inside your "
    "network. Check its scheme and host first.",
    "S311": "The numbers of the module random can be predicted from earlier ones. For passwords, "
    "keys and tokens use the module secrets.",
    "S312": "Telnet sends everything readable, passwords too.",
    "S31": "A hostile XML file can make this parser read local files or use up all memory. Use "
    "the package defusedxml.",
    "S320": "A hostile XML file can make this parser read local files or use up all memory.",
    "S321": "FTP sends everything readable, passwords too.",
    "S323": "The certificate is not checked, so anybody on the way can pretend to be the server.",
    "S324": "This hash can be forged: two contents with the same hash can be made in seconds. "
    "For passwords it is also far too fast. Use SHA-256, or argon2 for passwords.",
    "S501": "The certificate is not checked, so anybody on the way can pretend to be the server "
    "and read or change everything.",
    "S50": "The connection or key is weaker than what is considered safe today.",
    "S506": "yaml.load() can create any Python object from the file, which runs code of its "
    "author. Use yaml.safe_load().",
    "S507": "An unknown host key is accepted without asking, so anybody can pretend to be the "
    "server.",
    "S60": "A program is started with arguments that may come from outside.",
    "S601": "The command is put together from text. Input such as `; rm -rf ~` becomes a command "
    "of its own on the other machine.",
    "S602": "With shell=True the text is read by a shell. If a part of it comes from outside, "
    "input such as `; rm -rf ~` becomes a command of its own. Pass a list of arguments "
    "without shell=True.",
    "S604": "With shell=True the text is read by a shell. If a part of it comes from outside, "
    "input such as `; rm -rf ~` becomes a command of its own.",
    "S605": "The text is read by a shell. If a part of it comes from outside, input such as "
    "`; rm -rf ~` becomes a command of its own. Use subprocess.run() with a list.",
    "S608": "The SQL is put together from text. If a value comes from outside, input such as "
    "`' OR '1'='1` changes what the query asks, or deletes a table. Leave a placeholder in the "
    "text and pass the value to execute() beside it.",
    "S609": "The shell replaces * by file names. A file called `--something` becomes an option.",
    "S610": "extra() passes text to the database as it is, so input can change the query.",
    "S611": "RawSQL passes text to the database as it is, so input can change the query.",
    "S612": "Whoever can reach this port, can run code by sending a logging configuration.",
    "S701": "Without autoescape, text that a user wrote reaches the page as it is, scripts too.",
    "S702": "Mako does not escape by default: text that a user wrote reaches the page as it is.",
    "S704": "Markup() says that the text is safe HTML; from outside it is not, scripts run.",
}

_LONGEST = max(map(len, _TEXTS))


def explain(rule: str, message: str) -> str:
    """Return what ``rule`` is about; the tool's own ``message`` where nothing is known of it."""
    for length in range(min(len(rule), _LONGEST), 0, -1):
        text = _TEXTS.get(rule[:length])
        if text is not None:
            return text
    return message if message.endswith(".") else f"{message}."
