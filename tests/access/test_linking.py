"""The server is protected without any setting, or it does not start."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_server.auth import AllowAllAuthorizer, IdentityProvider, PasswordIdentityProvider
from jupyter_server.serverapp import ServerApp
from traitlets.config import Config

from jupyter_collab_ai.access import linking, upstream
from jupyter_collab_ai.access.authorizer import GateAuthorizer
from jupyter_collab_ai.access.linking import link, verify_installed
from jupyter_collab_ai.ids import UserId
from jupyter_collab_ai.principal import Credential, Principal
from tests.access import extension
from tests.access.conftest import Server
from tests.access.extension import NamedProvider, World


@pytest.fixture
def app() -> ServerApp:
    """A server that has read its configuration and made nothing yet."""
    return ServerApp()


def test_no_setting_is_needed(app: ServerApp) -> None:
    link(app, NamedProvider)
    assert app.identity_provider_class is NamedProvider
    assert app.authorizer_class is GateAuthorizer
    assert app.allow_unauthenticated_access is False
    # Jupyter applies the configuration again after it has linked its extensions.
    app.update_config(Config({"ServerApp": {"port": 1}}))
    assert app.authorizer_class is GateAuthorizer


def test_a_setting_does_not_take_the_protection_away() -> None:
    config = Config(
        {
            "ServerApp": {
                "authorizer_class": AllowAllAuthorizer,
                "identity_provider_class": PasswordIdentityProvider,
                "allow_unauthenticated_access": True,
            }
        }
    )
    app = ServerApp(config=config)
    link(app, NamedProvider)
    app.update_config(Config({"ServerApp": {"port": 1}}))
    assert app.identity_provider_class is NamedProvider
    assert app.authorizer_class is GateAuthorizer
    assert app.allow_unauthenticated_access is False


def test_another_identity_provider_is_not_pushed_aside_in_silence() -> None:
    class Foreign(IdentityProvider):
        pass

    app = ServerApp(config=Config({"ServerApp": {"identity_provider_class": Foreign}}))
    with pytest.raises(SystemExit, match=r"set CollabAI.external_accounts = True"):
        link(app, NamedProvider)


def test_another_identity_provider_stays_in_charge_whenever_it_is_set() -> None:
    """JupyterHub's extension sets it after ours is linked."""

    class Foreign(IdentityProvider):
        pass

    class InFront(NamedProvider):
        pass

    def external(configured: type[IdentityProvider]) -> type[IdentityProvider]:
        return InFront if configured is Foreign else configured

    app = ServerApp()
    link(app, NamedProvider, external)
    assert app.identity_provider_class is PasswordIdentityProvider
    app.update_config(Config({"ServerApp": {"identity_provider_class": Foreign}}))
    assert app.identity_provider_class is InFront
    app.update_config(Config({"ServerApp": {"port": 1}}))
    assert app.identity_provider_class is InFront
    assert app.authorizer_class is GateAuthorizer


def test_a_failure_while_linking_ends_the_process(
    app: ServerApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jupyter itself would log it and go on."""
    monkeypatch.setattr(upstream, "NAMES", ("tornado.web:Application.no_such_thing",))
    with pytest.raises(SystemExit, match=r"no_such_thing differs"):
        link(app, NamedProvider)


def test_a_failure_while_installing_ends_the_server(
    world: World,
    jp_configurable_serverapp: Callable[[], ServerApp],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*args: object) -> None:
        raise ValueError("no files")

    monkeypatch.setattr(linking, "Files", fail)
    with pytest.raises(SystemExit, match="could not be protected: no files"):
        jp_configurable_serverapp()


async def test_what_is_put_aside_later_is_noticed(server: Server) -> None:
    gate = server.world.gate
    assert gate is not None
    verify_installed(server.app, gate, NamedProvider)
    application = server.app.web_app
    settings = application.settings
    for name, value, said in [
        ("authorizer", AllowAllAuthorizer(), "the authorizer"),
        ("identity_provider", IdentityProvider(), "the identity provider"),
        ("allow_unauthenticated_access", True, "the need to sign in"),
        ("disable_check_xsrf", True, "the XSRF check"),
        ("page_config_hook", lambda handler, config: config, "the hook of pages"),
        ("collab_gate", None, "the gate"),
    ]:
        missing = object()
        kept = settings.get(name, missing)
        settings[name] = value
        with pytest.raises(SystemExit, match=f"{said} is not in place"):
            verify_installed(server.app, gate, NamedProvider)
        settings[name] = kept
        if kept is missing:
            del settings[name]
    verify_installed(server.app, gate, NamedProvider)
    find = application.find_handler
    application.find_handler = lambda request, **kwargs: None
    with pytest.raises(SystemExit, match="the gate is not in place"):
        verify_installed(server.app, gate, NamedProvider)
    application.find_handler = find


# ---------------------------------------------------------------- upstream


def test_upstream_is_as_we_know_it() -> None:
    upstream.check_upstream()


def test_another_version_of_upstream_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(upstream.VERSIONS, "tornado", ("5.",))
    with pytest.raises(upstream.UpstreamChanged, match=r"knows 5\.x"):
        upstream.check_upstream()


def test_another_signature_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "jupyter_server.auth.authorizer:Authorizer.is_authorized"
    monkeypatch.setitem(upstream.PARAMETERS, name, ("self", "request"))
    with pytest.raises(upstream.UpstreamChanged, match="is_authorized differs"):
        upstream.check_upstream()


# ---------------------------------------------------------------- pages


def test_the_hook_that_was_there_before_is_kept() -> None:
    def before(handler: Any, config: dict[str, Any]) -> dict[str, Any]:
        return {**config, "mine": 1, "token": "t", "serverRoot": "/srv"}

    hook = linking.PageConfigHook(before)
    extension.world = None
    handler = SimpleNamespace(current_user=None)
    assert hook(handler, {"a": 2}) == {  # type: ignore[arg-type]
        "a": 2,
        "mine": 1,
        "token": "",
        "serverRoot": "",
        "terminalsAvailable": False,
        "buildAvailable": False,
        "buildCheck": False,
        "quitButton": False,
        "collabAiRunsCode": "never",
        "collabAiAdmin": False,
        "collabAiUser": "",
    }


@pytest.mark.parametrize(
    ("is_admin", "members_run_code", "told"),
    [
        (True, False, "always"),
        (True, True, "always"),
        (False, True, "by_role"),
        (False, False, "never"),
    ],
)
def test_a_page_is_told_who_may_run_code(is_admin: bool, members_run_code: bool, told: str) -> None:
    hook = linking.PageConfigHook(None, members_run_code=members_run_code)
    principal = Principal(UserId("1"), "ada", "Ada", "#000000", is_admin, Credential.COOKIE)
    handler = SimpleNamespace(current_user=SimpleNamespace(principal=principal))
    config = hook(handler, {})  # type: ignore[arg-type]
    assert (config["collabAiRunsCode"], config["collabAiAdmin"]) == (told, is_admin)
    assert config["collabAiUser"] == "1"
