# ruff: noqa: E501 - short programs in one line each
"""Our rules for logic: off by one, exchanged, forgotten. The repaired twins are quiet."""

from __future__ import annotations

import textwrap

import pytest

from tests.ai.test_python_rules import hits

#: rule -> the line of the fault, the faulty text, repaired texts
CASES = {
    "root-not-tried": (
        2,
        """
        def f(n):
            for k in range(2, int(n ** 0.5)):
                if n % k == 0:
                    return False
            return True
        """,
        "def f(n):\n    for k in range(2, int(n ** 0.5) + 1):\n        if n % k == 0: return k",
        "def f(n):\n    for k in range(2, int(n ** 0.5)):\n        print(k)",
    ),
    "root-compared-with-number": (
        2,
        "def f(n):\n    return round(n ** (1 / 3)) == n",
        "def f(n):\n    return round(n ** (1 / 3)) ** 3 == n",
        "def f(n, m):\n    return round(n ** 0.5) == m",
    ),
    "remainder-of-smaller": (
        4,
        """
        def f(n):
            for i in range(2, n):
                for j in range(2, i):
                    if j % i == 0:
                        return i
        """,
        "def f(i):\n    for j in range(2, i):\n        if i % j == 0: return j",
        "def f(i):\n    for j in range(2, i + 9):\n        if j % i == 0: return j",
    ),
    "divisors-begin-late": (
        2,
        "def f(n):\n    for k in range(3, n):\n        if n % k == 0:\n            return False",
        "def f(n):\n    for k in range(2, n):\n        if n % k == 0:\n            return False",
        "def f(n):\n    if n % 2 == 0: return\n    for k in range(3, n):\n        if n % k == 0: return 1",
    ),
    "remainder-minus-first": (
        2,
        "def f(n, i):\n    return n % i - 1 == 0",
        "def f(n, i):\n    return n % (i - 1) == 0",
        "def f(n, i):\n    return n % i == 1",
    ),
    "fixed-power": (
        2,
        "def f(n):\n    return (-1) ** 2 * n",
        "def f(n):\n    return (-1) ** (2 * n)",
    ),
    "modulo-not-length": (
        3,
        "def f(n):\n    days = ['mo', 'tu', 'we', 'th', 'fr', 'sa', 'su']\n    return days[n % 8]",
        "def f(n):\n    days = ['mo', 'tu', 'we', 'th', 'fr', 'sa', 'su']\n    return days[n % 7]",
        "def f(n):\n    days = ['mo', 'tu', 'we', 'th', 'fr', 'sa', 'su']\n    return days[n % 5]",
    ),
    "range-divided-by-sum": (
        2,
        "def f(x, min_x, max_x):\n    return (x - min_x) / (max_x + min_x)",
        "def f(x, min_x, max_x):\n    return (x - min_x) / (max_x - min_x)",
        "def f(red, nir_min):\n    return (red - nir_min) / (red + nir_min)",
    ),
    "counted-twice": (
        2,
        "def f(a, b):\n    return abs(a - b) + abs(b - a)",
        "def f(a, b, c):\n    return abs(a - b) + abs(b - c)",
        "def f(a):\n    return a + a",
    ),
    "bit-stays-set": (
        3,
        "def f(n):\n    while n:\n        n ^= n - 1",
        "def f(n):\n    while n:\n        n &= n - 1",
    ),
    "lowest-in-sorted": (
        3,
        "def f(a):\n    b = sorted(a)\n    return b.index(min(a))",
        "def f(a):\n    b = sorted(a)\n    return a.index(min(a))",
        "def f(a):\n    b = sorted(a, key=len)\n    return b.index(min(a))",
    ),
    "number-and-text": (
        2,
        "def f(a):\n    return 'there are ' + len(a)",
        "def f(a):\n    return 'there are ' + str(len(a))",
        "def f(a):\n    return 1 + len(a)",
    ),
    "typed-number-is-text": (
        2,
        "age = input('Age? ')\nif age > 18:\n    print('welcome')",
        "age = int(input('Age? '))\nif age > 18:\n    print('welcome')",
        "age = input('Age? ')\nage = int(age)\nif age > 18:\n    print('welcome')",
        "def f():\n    x = input()\n    return x == 'yes' or x * 2",
    ),
    "float-as-index": (
        3,
        "def f(a):\n    middle = len(a) / 2\n    return a[middle]",
        "def f(a):\n    middle = len(a) // 2\n    return a[middle]",
        "def f(a, b):\n    return a[b / 'c']",
    ),
    "floats-compared-exactly": (
        2,
        "def f(a):\n    return a + 0.1 == 0.3",
        "def f(a):\n    return a == 0.3",
        "def f(a):\n    return a + 0.5 == 1.5",
    ),
    "last-left-out": (
        3,
        """
        def f(a):
            total = 0
            for i in range(len(a) - 1):
                total += a[i]
            return total
        """,
        "def f(a):\n    for i in range(len(a) - 1):\n        if a[i] > a[i + 1]: return i",
        "def f(a):\n    for i in range(len(a) - 1):\n        print(a[i])\n    print(a[-1])",
        "def f(a, b):\n    for i in range(len(a) - 1):\n        print(a[i], b[i])",
    ),
    "first-left-out": (
        3,
        """
        def f(a):
            for i in range(len(a)): print(a)
            for i in range(1, len(a)):
                for j in range(i + 1, len(a)):
                    if a[i] + a[j] == 0:
                        return True
        """,
        "def f(a):\n    for i in range(1, len(a)):\n        if a[i] < a[i - 1]: return i",
        "def f(a):\n    m = a[0]\n    for i in range(1, len(a)):\n        m += a[i]\n    return m",
    ),
    "range-never-runs": (
        2,
        "def f(a):\n    for i in range(len(a) - 1, -1):\n        print(a[i])",
        "def f(a):\n    for i in range(len(a) - 1, -1, -1):\n        print(a[i])",
        "x = [i for i in range(1, 1)]",
    ),
    "search-misses-last": (
        4,
        """
        def f(a, x):
            lo = 0
            hi = len(a) - 1
            while lo < hi:
                mid = (lo + hi) // 2
                if a[mid] == x:
                    return mid
                if a[mid] < x:
                    lo = mid + 1
                else:
                    hi = mid - 1
            return -1
        """,
    ),
    "search-past-end": (
        4,
        """
        def f(a, x):
            lo = 0
            hi = len(a)
            while lo <= hi:
                mid = (lo + hi) // 2
                if a[mid] == x:
                    return mid
                if a[mid] < x:
                    lo = mid + 1
                else:
                    hi = mid - 1
            return -1
        """,
        """
        def f(a, x):
            lo = 0
            hi = len(a) - 1
            while lo <= hi:
                mid = (lo + hi) // 2
                if a[mid] == x:
                    return mid
                if a[mid] < x:
                    lo = mid + 1
                else:
                    hi = mid - 1
            return -1
        """,
    ),
    "last-dropped": (
        5,
        """
        def f(a, s):
            r = []
            for x in a[:-1]:
                r.append(x)
            return r
        """,
        "def f(a):\n    r = []\n    for x in a[:-1]:\n        r.append(x)\n    r.append(a[-1])\n    return r",
    ),
    "length-minus-itself": (
        3,
        "def f(a, b):\n    n = len(b)\n    return len(b) - n + 1",
        "def f(a, b):\n    n = len(b)\n    return len(a) - n + 1",
        "def f(a, b):\n    n = len(b)\n    b.append(a)\n    return len(b) - n",
    ),
    "boundary-left-out": (
        3,
        "def f(a, n, memo):\n    for w in a:\n        if w < n:\n            memo[w] += memo[n - w]",
        "def f(a, n, memo):\n    for w in a:\n        if w <= n:\n            memo[w] += memo[n - w]",
    ),
    "random-index-past-end": (
        3,
        "import random\ndef f(a):\n    return a[random.randint(0, len(a))]",
        "import random\ndef f(a):\n    return a[random.randint(0, len(a) - 1)]",
    ),
    "wrong-direction": (
        4,
        """
        def largest(a):
            best = a[0]
            for x in a:
                if x < best:
                    best = x
            return best
        """,
        "def largest(a):\n    b = a[0]\n    for x in a:\n        if b < x:\n            b = x\n    return b",
        "def pick(a):\n    b = a[0]\n    for x in a:\n        if x < b:\n            b = x\n    return b",
    ),
    "maximum-changed-otherwise": (
        7,
        """
        def f(text):
            depth = max_depth = 0
            for c in text:
                if c == '(':
                    depth += 1
                    max_depth = max(depth, max_depth)
                else: max_depth -= 1
            return max_depth
        """,
        """
        def f(text):
            depth = max_depth = 0
            for c in text:
                if c == '(':
                    depth += 1
                    max_depth = max(depth, max_depth)
                else: depth -= 1
            return max_depth
        """,
    ),
    "name-says-opposite": (
        4,
        """
        def f(a):
            odd = 0
            for x in a:
                if x % 2 == 0:
                    odd += 1
            return odd
        """,
        "def f(a):\n    odd = 0\n    for x in a:\n        if x % 2:\n            odd += 1\n    return odd",
        "def remove_vowels(s):\n    return ''.join([c for c in s if c not in 'aeiou'])",
        "def f(a):\n    evens = [x for x in a if x % 2 == 0]\n    return evens",
    ),
    "mirror-test-reversed": (
        4,
        """
        def f(a):
            i, j = 0, len(a) - 1
            while i < j:
                if a[i] == a[j]:
                    return False
                i += 1
                j -= 1
            return True
        """,
        """
        def f(a):
            for i in range(len(a)):
                for j in range(i + 1, len(a)):
                    if a[i] == a[j]:
                        return False
            return True
        """,
    ),
    "early-answer-contradicts-last": (
        6,
        """
        def f(a):
            d = 0
            for c in a:
                d += 1 if c == '(' else -1
                if d < 0:
                    return True
            return d == 0
        """,
        "def f(a):\n    d = 0\n    for c in a:\n        d += c\n        if d < 0: return False\n    return d == 0",
    ),
    "iterator-used-twice": (
        4,
        """
        def f(a):
            squares = map(int, a)
            total = sum(squares)
            return total, max(squares)
        """,
        "def f(a):\n    s = list(map(int, a))\n    return sum(s), max(s)",
        "def f(a):\n    s = map(int, a)\n    if a: return sum(s)\n    return max(s)",
    ),
    "function-not-called": (
        4,
        """
        def ready():
            return bool(input())

        if ready:
            print('go')
        """,
        "def ready():\n    return bool(input())\n\nif ready():\n    print('go')",
        "try:\n    from x import ready\nexcept ImportError:\n    ready = None\nif ready:\n    pass",
    ),
    "equal-elements-lost": (
        6,
        """
        def f(a):
            if not a:
                return []
            pivot = a[0]
            low = f([x for x in a[1:] if x < pivot])
            high = f([x for x in a[1:] if x > pivot])
            return low + [pivot] + high
        """,
        """
        def f(a):
            if not a:
                return []
            pivot = a[0]
            low = f([x for x in a if x < pivot])
            same = [x for x in a if x == pivot]
            high = f([x for x in a if x > pivot])
            return low + same + high
        """,
    ),
    "base-case-gives-nothing": (
        3,
        """
        def f(a, k):
            if k == 0:
                return []
            r = []
            for i in range(a):
                r.extend([i] + rest for rest in f(i, k - 1))
            return r
        """,
        """
        def f(a, k):
            if k == 0:
                return [[]]
            r = []
            for i in range(a):
                r.extend([i] + rest for rest in f(i, k - 1))
            return r
        """,
        "def f(t):\n    if not t: return []\n    r = [t.x]\n    r.extend(y for y in f(t.n))\n    return r",
    ),
    "popped-in-wrong-order": (
        4,
        "def f(s):\n    a = s.pop()\n    b = s.pop()\n    return a - b",
        "def f(s):\n    a = s.pop()\n    b = s.pop()\n    return b - a",
        "def f(s):\n    a = s.pop()\n    b = s.pop()\n    return a + b",
    ),
    "rows-are-one-list": (
        2,
        "def f(n):\n    grid = [[0] * n] * n\n    return grid",
        "def f(n):\n    grid = [[0] * n for _ in range(n)]\n    return grid",
        "def f(n):\n    return [0] * n",
    ),
    "missing-may-be-none": (
        4,
        "def f(a):\n    d = {}\n    for x in a:\n        d[x] = d.get(x) + 1\n    return d",
        "def f(a):\n    d = {}\n    for x in a:\n        d[x] = d.get(x, 0) + 1\n    return d",
    ),
    "builtin-hidden": (
        3,
        "def f(a):\n    sum = 0\n    return sum(a)",
        "def f(a):\n    total = 0\n    return sum(a) + total",
    ),
    "braces-without-f": (
        2,
        "def f(name):\n    print('Hello, {name}!')",
        "def f(name):\n    print(f'Hello, {name}!')",
        "def f(name):\n    print('Hello, {name}!'.format(name=name))",
    ),
    "total-replaced": (
        4,
        """
        def f(a):
            total = 0
            for x in a:
                total = x * 2
            return total
        """,
        "def f(a):\n    t = 0\n    for x in a:\n        t += x * 2\n    return t",
        "def f(a):\n    last = 0\n    for x in a:\n        last = x\n    return last",
    ),
    "answers-in-first-step": (
        5,
        """
        def f(a):
            for x in a:
                if x > 3:
                    return True
                return False
        """,
        "def f(a):\n    for x in a:\n        if x > 3:\n            return True\n    return False",
        "def f(a):\n    for x in a:\n        return x",
    ),
    "loop-variable-unused": (
        4,
        """
        def f(a, b):
            r = set()
            for x in a:
                for y in b:
                    r.add(x)
            return r
        """,
        "def f(a, b):\n    r = set()\n    for x in a:\n        for y in b:\n            r.add((x, y))\n    return r",
    ),
    "wrong-number-of-arguments": (
        3,
        "def add(a, b):\n    return a + b\nprint(add(1))",
        "def add(a, b=0):\n    return a + b\nprint(add(1))",
        "def add(a, b):\n    return a + b\nprint(add(*[1, 2]))",
    ),
    "plus-after-equals": (
        2,
        "def f(x):\n    x =+ 1\n    return x",
        "def f(x):\n    x = +1\n    return x",
    ),
    "result-not-returned": (
        3,
        "def f(a):\n    b = a * 2\n    total = b + a",
        "def f(a):\n    b = a * 2\n    return b + a",
    ),
    "attribute-never-set": (
        5,
        """
        class A:
            def __init__(self):
                self.count = 0
            def more(self):
                return self.cuont + 1
        """,
        "class A:\n    def __init__(self):\n        self.n = 0\n    def m(self):\n        return self.n",
        "class A(B):\n    def __init__(self):\n        self.n = 0\n    def m(self):\n        return self.x",
    ),
    "property-calls-itself": (
        4,
        "class A:\n    @property\n    def size(self):\n        return self.size",
        "class A:\n    @property\n    def size(self):\n        return self._size",
    ),
    "method-without-self": (
        2,
        "class A:\n    def hello():\n        print('hi')",
        "class A:\n    @staticmethod\n    def hello():\n        print('hi')",
    ),
    "list-shared-by-all": (
        2,
        """
        class A:
            items = []
            def __init__(self, n):
                self.n = n
            def add(self, x):
                self.items.append(x)
        """,
        """
        class A:
            def __init__(self, n):
                self.items = []
            def add(self, x):
                self.items.append(x)
        """,
    ),
    "init-misspelt": (
        2,
        "class A:\n    def _init_(self, n):\n        self.n = n",
        "class A:\n    def __init__(self, n):\n        self.n = n",
    ),
    "recursion-without-end": (
        2,
        "def fact(n):\n    return n * fact(n - 1)",
        "def fact(n):\n    return n * fact(n - 1) if n else 1",
    ),
    "never-closed": (
        2,
        "def f(p):\n    h = open(p)\n    return h.read()",
        "def f(p):\n    with open(p) as h:\n        return h.read()",
        "def f(p):\n    h = open(p)\n    return h",
        "def f(p):\n    h = open(p)\n    h.close()",
    ),
    "lock-not-released": (
        2,
        "def f(lock, a):\n    lock.acquire()\n    a.work()\n    lock.release()",
        "def f(lock, a):\n    with lock:\n        a.work()",
        "def f(lock, a):\n    lock.acquire()\n    try:\n        a.work()\n    finally:\n        lock.release()",
    ),
    "lock-of-ones-own": (
        3,
        "import threading\ndef f(a):\n    lock = threading.Lock()\n    with lock:\n        a.n += 1",
        "import threading\nlock = threading.Lock()\ndef f(a):\n    with lock:\n        a.n += 1",
    ),
    "possibly-unset": (
        3,
        """
        def f(t):
            try:
                n = int(t)
            except ValueError:
                print('no number')
            return n + 1
        """,
        "def f(t):\n    try:\n        n = int(t)\n    except ValueError:\n        n = 0\n    return n + 1",
        "def f(t):\n    try:\n        n = int(t)\n    except ValueError:\n        return 0\n    return n + 1",
    ),
    "average-rounded": (
        2,
        "def average(a):\n    return sum(a) // len(a)",
        "def average(a):\n    return sum(a) / len(a)",
        "def middle(a):\n    return sum(a) // len(a)",
    ),
    "extreme-begins-at-zero": (
        2,
        "def f(a):\n    max_x = 0\n    for x in a:\n        if x > max_x:\n            max_x = x\n    return max_x",
        "def f(a):\n    max_x = a[0]\n    for x in a:\n        if x > max_x:\n            max_x = x\n    return max_x",
    ),
    "arguments-exchanged": (
        5,
        """
        def share(part, whole):
            return part / whole

        def f(part, whole):
            return share(whole, part)
        """,
        "def share(part, whole):\n    return part / whole\ndef f(part, whole):\n    return share(part, whole)",
    ),
    "and-of-bits": (
        2,
        "def f(a, b):\n    return a > 1 & b > 2",
        "def f(a, b):\n    return (a > 1) & (b > 2)",
        "def f(a, b):\n    return 1 < (a & b) < 9",
    ),
    "opened-for-the-other": (
        3,
        "def f(p):\n    with open(p) as h:\n        h.write('x')",
        "def f(p):\n    with open(p, 'w') as h:\n        h.write('x')",
        "def f(p):\n    with open(p, 'r+') as h:\n        h.write(h.read())",
    ),
    "called-instead-of-passed": (
        4,
        """
        import threading
        def work():
            print('x')
        threading.Thread(target=work()).start()
        """,
        "import threading\ndef work(): print('x')\nthreading.Thread(target=work).start()",
    ),
    "joined-to-absolute": (
        2,
        "import os\np = os.path.join('/data', '/logs')",
        "import os\np = os.path.join('/data', 'logs')",
    ),
    "text-changed-in-place": (
        2,
        "def f(s: str):\n    s[0] = 'x'\n    return s",
        "def f(s: list):\n    s[0] = 'x'\n    return s",
        "def f(s: str):\n    s = list(s)\n    s[0] = 'x'\n    return s",
    ),
    "keys-taken-apart": (
        3,
        "def f():\n    d = {'a': 1}\n    for k, v in d:\n        print(k, v)",
        "def f():\n    d = {'a': 1}\n    for k, v in d.items():\n        print(k, v)",
        "def f(a, b):\n    d = {(a, b): 1}\n    for k, v in d:\n        print(k, v)",
    ),
    "global-missing": (
        3,
        "n = 0\ndef f():\n    n += 1",
        "n = 0\ndef f():\n    global n\n    n += 1",
        "n = 0\ndef f():\n    n = 2\n    n += 1",
    ),
    "after-endless-loop": (
        4,
        "def f(a):\n    while True:\n        a()\n    print('done')",
        "def f(a):\n    while True:\n        if a(): break\n    print('done')",
    ),
    "parameter-unused": (
        1,
        "def f(a, b):\n    c = a + a\n    return c\nprint(f(1, 2))",
        "def f(a, b):\n    c = a + b\n    return c\nprint(f(1, 2))",
        "def f(a, b):\n    c = a + a\n    return c\nregister(f)",
    ),
    "wrong-collection": (
        5,
        """
        def f(a):
            counts = [0] * 9
            for x in a:
                counts[x] += 1
            for i, count in enumerate(a):
                print(i, count)
        """,
        """
        def f(a):
            counts = [0] * 9
            for x in a:
                counts[x] += 1
            for i, count in enumerate(counts):
                print(i, count)
        """,
    ),
    "same-lines-for-all": (
        3,
        """
        def f(g, i, j, out):
            if i > 0:
                out.append(g[i][j])
            if j > 0:
                out.append(g[i][j])
            if i < 9:
                out.append(g[i][j])
        """,
        "def f(g, i, out):\n    if i > 0:\n        out.append(g[i - 1])\n    if i < 9:\n        out.append(g[i + 1])",
    ),
    # ------------------------------------------------------------------ slow
    "searched-for-each": (
        2,
        "def f(a):\n    return [x for x in a if a.count(x) > 1]",
        "def f(a, b):\n    return [x for x in a if b.count(x) > 1]",
    ),
    "sorted-for-extreme": (
        2,
        "def f(a):\n    return sorted(a)[0]",
        "def f(a):\n    return sorted(a)[1]",
    ),
    "all-lines-at-once": (
        2,
        "def f(h):\n    for line in h.readlines():\n        print(line)",
        "def f(h):\n    for line in h:\n        print(line)",
    ),
    "asked-one-by-one": (
        3,
        "def f(db, ids):\n    for i in ids:\n        db.execute('SELECT * FROM t WHERE id = ?', (i,))",
        "def f(db, ids):\n    db.executemany('UPDATE t SET a = 1 WHERE id = ?', ids)",
    ),
    "copied-in-loop": (
        4,
        "import copy\ndef f(a, b):\n    for x in a:\n        x.set(copy.deepcopy(b))",
        "import copy\ndef f(a):\n    for x in a:\n        x.set(copy.deepcopy(x))",
    ),
    "rows-applied-one-by-one": (
        2,
        "def f(t):\n    return t.apply(lambda row: row.a + 1, axis=1)",
        "def f(t):\n    return t.apply(lambda column: column.sum())",
    ),
    "string-built-in-loop": (
        4,
        "def f(words):\n    s = ''\n    for word in words:\n        s += word\n    return s",
        "def f(words):\n    return ''.join(words)",
    ),
}


@pytest.mark.parametrize("rule", CASES)
def test_it_is_found_where_it_is_and_not_in_the_repaired_text(rule):
    line, faulty, *repaired = CASES[rule]
    # The number counts from the first line that is not empty.
    assert (line, rule) in hits(textwrap.dedent(faulty).strip("\n"))
    for text in repaired:
        assert rule not in {found for _, found in hits(text)}, text


@pytest.mark.parametrize(
    ("rule", "line", "text"),
    [
        ("contradiction", 2, "def f(a, b):\n    return (a == 1 and b) and (a == 2 and not b)"),
        ("branch-never-reached", 4, "def f(a):\n    if a >= 60:\n        return 1\n    elif a >= 90:\n        return 2"),
        ("branch-never-reached", 4, "def f(a):\n    if isinstance(a, int):\n        return 1\n    elif isinstance(a, bool):\n        return 2"),
        ("root-compared-with-number", 2, "def f(x, e, g):\n    while abs(x - g) > e:\n        g = 0.5 * (g + x / g)\n    return g"),
        ("search-misses-last", 3, "def f(a, x, lo):\n    hi = len(a) - 1\n    while lo < hi:\n        m = (lo + hi) // 2\n        if a[m] == x: return m\n        if a[m] < x:\n            lo = m + 1\n        else:\n            hi = m - 1\n    return None"),
        ("name-says-opposite", 2, "def get_positive(a):\n    return [x for x in a if x < 0]"),
        ("number-and-text", 2, "def f(n):\n    return 'a' + n + 'b' + 5"),
        ("typed-number-is-text", 3, "def f():\n    n = input()\n    return n - 1"),
    ],
)  # fmt: skip
def test_other_forms(rule, line, text):
    assert (line, rule) in hits(text)


@pytest.mark.parametrize(
    "text",
    [
        "def f(a):\n    if a >= 90:\n        return 1\n    elif a >= 60:\n        return 2",
        "def f(a):\n    if a > 5:\n        return 1\n    elif a >= 5:\n        return 2",
        "def f(a):\n    if isinstance(a, bool):\n        return 1\n    elif isinstance(a, int):\n        return 2",
        "def f(a, b):\n    return (a == 1 and b) or (a == 2 and b)",
    ],
)
def test_conditions_that_leave_something_over_are_fine(text):
    assert not hits(text)
