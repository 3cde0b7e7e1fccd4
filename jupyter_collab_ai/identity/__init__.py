"""Who you are: accounts, passwords, tokens, logins and the pages where people sign in."""
