"""Our rules for insecure settings: each finds its fault, and the repaired twin is quiet."""

from __future__ import annotations

import pytest

from tests.ai.test_python_rules import hits

#: rule -> faulty text, repaired text
PAIRS = {
    "hard-coded-credential": (
        "password = 'Tr0ub4dor'",
        "import os\npassword = os.environ['DB_PASSWORD']\npassword_field = 'password'",
    ),
    "empty-database-password": (
        "DATABASES = {'default': {'USER': 'a', 'PASSWORD': ''}}",
        "DATABASES = {'default': {'USER': 'a', 'PASSWORD': secret()}}",
    ),
    "weak-cipher": (
        "from Crypto.Cipher import DES\nc = DES.new(k, DES.MODE_CBC, iv)",
        "from Crypto.Cipher import AES\nc = AES.new(k, AES.MODE_GCM)",
    ),
    "fixed-iv": (
        "from Crypto.Cipher import AES\niv = b'0' * 16\nc = AES.new(k, AES.MODE_CBC, iv)",
        "from Crypto.Cipher import AES\niv = os.urandom(16)\nc = AES.new(k, AES.MODE_CBC, iv)",
    ),
    "fixed-salt": (
        "import hashlib\nh = hashlib.pbkdf2_hmac('sha256', p, b'salt', 100000)",
        "import hashlib\nh = hashlib.pbkdf2_hmac('sha256', p, os.urandom(16), 100000)",
    ),
    "fast-password-hash": (
        "import hashlib\nh = hashlib.sha256(password.encode()).hexdigest()",
        "import hashlib\nh = hashlib.sha256(content).hexdigest()",
    ),
    "weak-key": (
        "from Crypto.PublicKey import RSA\nk = RSA.generate(1024)",
        "from Crypto.PublicKey import RSA\nk = RSA.generate(3072)",
    ),
    "predictable-random": (
        "import random\ndef session_id():\n    return random.randint(0, 9)",
        "import secrets, random\ndef session_id():\n    return secrets.token_hex()\n"
        "def roll():\n    return random.randint(1, 6)",
    ),
    "certificate-not-checked": (
        "import requests\nrequests.get('https://a', verify=False, timeout=5)",
        "import requests\nrequests.get('https://a', verify='ca.pem', timeout=5)",
    ),
    "token-not-verified": (
        "import jwt\nc = jwt.decode(t, options={'verify_signature': False})",
        "import jwt\nc = jwt.decode(t, key, algorithms=['HS256'])",
    ),
    "cookie-without-protection": (
        "r.set_cookie('sid', v)",
        "r.set_cookie('sid', v, secure=True, httponly=True)",
    ),
    "debug-mode": (
        "from flask import Flask\napp = Flask('a')\napp.run(debug=True)",
        "from flask import Flask\napp = Flask('a')\napp.run()",
    ),
    "error-shown-to-visitor": (
        "import traceback\n@app.route('/')\ndef f():\n    return traceback.format_exc()",
        "import traceback\n@app.route('/')\ndef f():\n    log(traceback.format_exc())\n"
        "    return 'failed'",
    ),
    "cleartext-protocol": (
        "import ftplib\nf = ftplib.FTP('h')",
        "import ftplib\nf = ftplib.FTP_TLS('h')",
    ),
    "world-writable": ("import os\nos.chmod('a', 0o777)", "import os\nos.chmod('a', 0o600)"),
    "temporary-name": (
        "import tempfile\nn = tempfile.mktemp()",
        "import tempfile\nn = tempfile.mkstemp()",
    ),
    "check-then-use": (
        "import os\nif os.path.exists(p):\n    f = open(p)",
        "import os\nif os.path.exists(p):\n    print(p)",
    ),
    "entities-resolved": (
        "from lxml import etree\np = etree.XMLParser()",
        "from lxml import etree\np = etree.XMLParser(resolve_entities=False)",
    ),
    "archive-extracted-unchecked": (
        "import tarfile\nt = tarfile.open('a')\nt.extractall('b')",
        "import tarfile\nt = tarfile.open('a')\nt.extractall('b', filter='data')",
    ),
    "timing-comparison": (
        "import hmac\ndef f(k, m, given):\n    return hmac.new(k, m).hexdigest() == given",
        "import hmac\ndef f(k, m, given):\n"
        "    return hmac.compare_digest(hmac.new(k, m).hexdigest(), given)",
    ),
    "host-pattern-too-wide": (
        "import re\np = re.compile('www.example.com')",
        r"import re" + "\n" + r"p = re.compile(r'www\.example\.com')",
    ),
    "tags-removed-by-pattern": (
        "import re\ns = re.sub('<script>.*?</script>', '', s)",
        "import html\ns = html.escape(s)",
    ),
    "autoescape-off": (
        "from jinja2 import Environment\ne = Environment()",
        "from jinja2 import Environment\ne = Environment(autoescape=True)",
    ),
}


@pytest.mark.parametrize("rule", PAIRS)
def test_the_fault_is_found_and_the_repair_is_quiet(rule):
    faulty, repaired = PAIRS[rule]
    assert rule in {found for _, found in hits(faulty)}
    assert rule not in {found for _, found in hits(repaired)}
