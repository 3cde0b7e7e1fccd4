"""How much of what is wrong in public sets of faulty code the debugger finds."""
