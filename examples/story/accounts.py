"""Steps 1 and 2: who people are, and what they share with whom."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from .console import check, step, tell
from .world import DATA, Person, World


async def the_one_who_starts_it(world: World) -> None:
    """Walk step 1: Jupyter's token signs its holder in, and stands in no page."""
    step(1, "Whoever starts JupyterLab is its admin")
    curl, token = world.curl, world.server.token
    jar = world.server.folder / "cookies"

    tell("The link that JupyterLab prints holds the token; it is exchanged for a cookie.")
    answer = await curl.call("GET", f"lab?token={token}", cookies=jar, expect=302)
    check(token not in answer.headers["location"], "the redirect does not hold the token")
    check("set-cookie" in answer.headers, "a cookie was set")
    check(token not in jar.read_text(), "the cookie does not hold the token")

    tell("With the cookie the page opens, under the name of who started it.")
    page = await curl.call("GET", "lab", cookies=jar, expect=200)
    check(token.encode() not in page.body, "the page does not hold the token")
    me = (await curl.api("GET", "me", cookies=jar, expect=200)).json
    check(me["is_admin"] is True, f"{me['username']} is admin")
    login = await curl.call("GET", "login", expect=200)
    check(token.encode() not in login.body, "the login page does not hold it either")

    tell("Without the cookie there is only the login page.")
    answer = await curl.call("GET", "lab", expect=302)
    check("login" in answer.headers["location"], "a stranger is sent to log in")
    answer = await curl.api("GET", "me", expect=401)
    check(answer.reason == "not_authenticated", "and a program is told so", seen=answer.json)


async def three_people(world: World) -> None:
    """Walk step 2: accounts, tokens, a session, invitations, and 404 for everybody else."""
    step(2, "Three people, one file")
    for person in world.people:
        await _register_and_log_in(world, person)
    await _tokens(world)
    await _share(world)
    await _invite(world)
    await _see(world)


async def _register_and_log_in(world: World, person: Person) -> None:
    tell(f"{person.display_name} registers and logs in.")
    account = {"username": person.username, "password": person.password}
    more = {"display_name": person.display_name}
    user = await world.curl.api("POST", "register", body={**account, **more}, expect=201)
    check(user.json["username"] == person.username, "the account is there")
    check(not {"password", "password_hash"} & user.json.keys(), "nothing of the password is shown")
    answer = (await world.curl.api("POST", "login", body=account, expect=200)).json
    check(answer["token_type"] == "bearer" and answer["expires_in"] >= 1, "they get a JWT")
    person.token, person.refresh_token = answer["access_token"], answer["refresh_token"]


async def _tokens(world: World) -> None:
    ada, curl = world.ada, world.curl
    tell("A wrong password, a forged token, a token whose signature was taken off.")
    wrong = {"username": "ada", "password": "Correct horse battery staple"}
    answer = await curl.api("POST", "login", body=wrong, expect=401)
    check(answer.reason == "invalid_credentials", "a wrong password is refused")
    head, payload, signature = ada.token.split(".")
    await curl.api("GET", "me", token=f"{head}.{payload}.{signature[::-1]}", expect=401)
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    none = base64.urlsafe_b64encode(json.dumps({**header, "alg": "none"}).encode()).rstrip(b"=")
    await curl.api("GET", "me", token=f"{none.decode()}.{payload}.", expect=401)
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    check("exp" in claims, "a token expires", seen=claims)

    tell("A refresh token is good for one use.")
    old = ada.refresh_token
    answer = (await curl.api("POST", "token/refresh", body={"refresh_token": old}, expect=200)).json
    ada.token, ada.refresh_token = answer["access_token"], answer["refresh_token"]
    await curl.api("POST", "token/refresh", body={"refresh_token": old}, expect=401)
    await curl.api("GET", "me", token=ada.token, expect=200)
    check(True, "the used one is dead, the new token works")

    tell("Ben logs in a second time, and logs that out again.")
    account = {"username": "ben", "password": world.ben.password}
    second = (await curl.api("POST", "login", body=account, expect=200)).json
    await curl.api("POST", "logout", token=second["access_token"], expect=204)
    answer = await curl.api("GET", "me", token=second["access_token"], expect=401)
    check(answer.reason == "token_revoked", "its tokens are dead at once", seen=answer.json)
    await curl.api("GET", "me", token=world.ben.token, expect=200)
    check(True, "his first login lives on")


async def _share(world: World) -> None:
    tell("Ada shares a Python file and a notebook.")
    body = {"name": "inventory", "content": _read(DATA / "inventory.py")}
    answer = await world.api(world.ada, "POST", "sessions", body=body, expect=201)
    world.inventory = answer.json
    check(
        world.inventory["path"] == "users/ada/inventory.py" and world.inventory["role"] == "owner",
        "she owns users/ada/inventory.py",
        seen=world.inventory,
    )
    check(answer.headers["location"].endswith(world.inventory["id"]), "Location names it")
    body = {"name": "sales", "type": "notebook", "content": _read(DATA / "sales.ipynb")}
    world.sales = (await world.api(world.ada, "POST", "sessions", body=body, expect=201)).json
    check(world.sales["path"] == "users/ada/sales.ipynb", "and users/ada/sales.ipynb")

    tell("Nobody else knows of it.")
    for person in (world.ben, world.cleo):
        for path in ("", "/members"):
            where = f"sessions/{world.inventory['id']}{path}"
            answer = await world.api(person, "GET", where, expect=404)
            check(answer.reason == "not_found", f"{person.username} gets 404, not 403")
        listed = (await world.api(person, "GET", "sessions", expect=200)).json
        check(listed["items"] == [], f"{person.username}'s list is empty")
        await world.curl.call(
            "GET", "api/contents/users/ada/inventory.py", token=person.token, expect=404
        )


async def _invite(world: World) -> None:
    ada, ben, cleo = world.people
    session_id = world.inventory["id"]
    tell("Ada invites Ben by name, as editor, and Cléo by a link, as viewer.")
    body = {"session_id": session_id, "role": "editor", "username": "ben"}
    answer = (await world.api(ada, "POST", "sessions/invite", body=body, expect=201)).json
    check("url" not in answer, "Ben is a member at once; there is no link")
    body = {"session_id": session_id, "role": "viewer", "max_uses": 1}
    answer = (await world.api(ada, "POST", "sessions/invite", body=body, expect=201)).json
    secret = parse_qs(urlsplit(answer["url"]).query)["invitation"][0]
    listed = await world.api(ada, "GET", f"sessions/{session_id}/invitations", expect=200)
    check(secret.encode() not in listed.body, "the list of invitations does not show the secret")
    joined = await world.api(
        cleo, "POST", "invitations/accept", body={"invitation": secret}, expect=200
    )
    check(joined.json["role"] == "viewer", "Cléo is viewer")
    answer = await world.api(
        ben, "POST", "invitations/accept", body={"invitation": secret}, expect=410
    )
    check(answer.reason == "invitation_used", "the link was good for one use")
    for person, role in ((ben, "editor"), (cleo, "viewer")):
        body = {"session_id": world.sales["id"], "role": role, "username": person.username}
        await world.api(ada, "POST", "sessions/invite", body=body, expect=201)


async def _see(world: World) -> None:
    tell("All three see who they are, what is shared with them, and with whom.")
    session_id = world.inventory["id"]
    roles = {"ada": "owner", "ben": "editor", "cleo": "viewer"}
    for person in world.people:
        me = (await world.api(person, "GET", "me", expect=200)).json
        check(me["display_name"] == person.display_name, f"/me: {me['display_name']}")
        items = (await world.api(person, "GET", "sessions", expect=200)).json["items"]
        check(
            {item["name"]: item["role"] for item in items}
            == dict.fromkeys(("inventory", "sales"), roles[person.username]),
            f"{person.username} sees both sessions as {roles[person.username]}",
            seen=items,
        )
        members = (
            await world.api(person, "GET", f"sessions/{session_id}/members", expect=200)
        ).json
        check(
            {item["user"]["username"]: item["role"] for item in members["items"]} == roles,
            "and the three members with their roles",
            seen=members,
        )
    tell("An editor and a viewer can't invite or change roles.")
    body = {"session_id": session_id, "role": "editor", "username": "ada"}
    for person in (world.ben, world.cleo):
        answer = await world.api(person, "PUT", "sessions/access", body=body, expect=403)
        check(answer.reason == "role_required", answer.json["message"])


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
