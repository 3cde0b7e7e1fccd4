"""Wiring: what the extension can be told, and how its rooms are put together. Nothing else."""

from __future__ import annotations

import logging
from functools import partial

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from jupyter_server_ydoc.app import YDocExtension
from traitlets import Bool, Dict, Enum, Float, Int, List, Unicode
from traitlets.config import Config

from jupyter_collab_ai import logs
from jupyter_collab_ai.access import linking
from jupyter_collab_ai.access.folders import Folders
from jupyter_collab_ai.access.gate import Gate
from jupyter_collab_ai.ai import handlers as ai_handlers
from jupyter_collab_ai.ai.analyzers.service import Analyzers
from jupyter_collab_ai.ai.board import LockBoard
from jupyter_collab_ai.ai.budgets import Meter, Terms
from jupyter_collab_ai.ai.execution.hidden import private_folders
from jupyter_collab_ai.ai.execution.service import Execution, Isolation
from jupyter_collab_ai.ai.model import Model, ModelSettings
from jupyter_collab_ai.ai.operations import Operations
from jupyter_collab_ai.ai.retention import DEFAULT_KEEPING, Keeping
from jupyter_collab_ai.identity import handlers as identity_handlers
from jupyter_collab_ai.identity import keys, profile
from jupyter_collab_ai.identity.confirmations import Confirmations
from jupyter_collab_ai.identity.external import (
    ExternalProvider,
    external_provider,
    sign_in_handlers,
)
from jupyter_collab_ai.identity.names import starter_name
from jupyter_collab_ai.identity.passwords import Hasher
from jupyter_collab_ai.identity.provider import CollabIdentityProvider, CollabProvider
from jupyter_collab_ai.identity.registration import Registration, who_may_register
from jupyter_collab_ai.identity.service import Identity
from jupyter_collab_ai.identity.starter import system_name, take_charge
from jupyter_collab_ai.identity.tokens import Tokens
from jupyter_collab_ai.interpreter import favour_the_loop
from jupyter_collab_ai.locks.leases import Leases
from jupyter_collab_ai.opening import name_of, open_for
from jupyter_collab_ai.plugs import Accounts, OperationLocks, SessionRights
from jupyter_collab_ai.rooms import history_handlers, upstream
from jupyter_collab_ai.rooms import sockets as room_sockets
from jupyter_collab_ai.rooms.compaction import KEEP_DAYS, Compactor
from jupyter_collab_ai.rooms.files import MAX_FILE, Files
from jupyter_collab_ai.rooms.forks import Forks
from jupyter_collab_ai.rooms.history import History
from jupyter_collab_ai.rooms.jupyterlab import FileIds
from jupyter_collab_ai.rooms.lobby import Lobby
from jupyter_collab_ai.rooms.registry import Rooms
from jupyter_collab_ai.rooms.shared import SharedDocuments
from jupyter_collab_ai.rooms.side_rooms import SideRooms
from jupyter_collab_ai.rooms.timelines import Timelines
from jupyter_collab_ai.rooms.whole_files import write_whole
from jupyter_collab_ai.rooms.ystore import LogYStore
from jupyter_collab_ai.sessions import handlers as session_handlers
from jupyter_collab_ai.sessions.bounds import DEFAULT_BOUNDS, Bounds
from jupyter_collab_ai.sessions.contents import JupyterContents
from jupyter_collab_ai.sessions.feed import Feed
from jupyter_collab_ai.sessions.invitations import Invitations
from jupyter_collab_ai.sessions.members import Members
from jupyter_collab_ai.sessions.paths import canonical
from jupyter_collab_ai.sessions.roles import Policy, Role
from jupyter_collab_ai.sessions.service import Sessions
from jupyter_collab_ai.settings import read_settings
from jupyter_collab_ai.storage.retention import AuditRetention
from jupyter_collab_ai.web import health, openapi
from jupyter_collab_ai.web.events import EventHub
from jupyter_collab_ai.web.handlers import LIMITER, UnknownHandler
from jupyter_collab_ai.web.limits import RateLimiter
from jupyter_collab_ai.web.seats import MAX_CONNECTIONS, Seats

log = logging.getLogger(__name__)


class CollabAI(ExtensionApp):
    """The Jupyter server extension."""

    name = "jupyter_collab_ai"
    app_name = "jupyter-collab-ai"
    description = "Multi-user editing with roles, and an AI that works in the live document."
    load_other_extensions = True

    registration = Enum(
        ["open", "invite", "closed"],
        default_value=None,
        allow_none=True,
        config=True,
        help="""Who may register an account: everybody (``open``), whoever holds an invitation
        (``invite``), or nobody (``closed``). By default ``open`` for requests from this
        machine while the server listens on loopback alone, and ``invite`` otherwise.""",
    )
    debugger_roles = List(
        Enum(["owner", "editor", "viewer"]),
        default_value=["owner", "editor"],
        config=True,
        help="The roles that may run the AI debugger.",
    )
    execution_roles = List(
        Enum(["owner", "editor"]),
        default_value=[],
        config=True,
        help="""The roles that may run code in kernels. Empty by default: whoever runs code on
        the server can do everything that the server can, so only admins may.""",
    )
    max_message_size = Int(
        16 * 1024 * 1024,
        config=True,
        help="Bytes that one WebSocket message may have; a longer one closes the socket (1009).",
    )
    max_document_size = Int(
        MAX_FILE,
        min=1,
        config=True,
        help="""Bytes that a file may have to be opened as a live document; a larger one is refused
        (413). One that grew while it was edited together is saved whatever its size, and opened
        again up to twice as many.""",
    )
    max_connections = Int(
        MAX_CONNECTIONS,
        min=1,
        config=True,
        help="""WebSockets and event streams that one account may have open at a time; one more
        is refused (429, or 1013 on ``/ws/``).""",
    )
    room_idle_seconds = Float(
        60.0,
        config=True,
        help="Seconds that a live document stays in memory after the last person has left it.",
    )
    allowed_extensions = List(
        Unicode(),
        default_value=[],
        config=True,
        help="""Import paths of request handlers of other extensions that every signed-in user
        may call, such as ``my_extension.handlers.StatusHandler``. Handlers that are not known
        are for admins alone.""",
    )

    external_accounts = Bool(
        False,
        config=True,
        help="""Whether the identity provider that ``ServerApp.identity_provider_class`` names,
        such as JupyterHub's, stays in charge of who somebody is. Accounts are then made at first
        sight of its users, and there are no passwords here.""",
    )
    external_issuer = Unicode(
        "",
        config=True,
        help="""What the other identity provider is called in the accounts. By default the path
        of its class. Another name makes other accounts: nobody gets those of a namesake.""",
    )
    ai_budgets = Dict(
        key_trait=Unicode(),
        value_trait=Dict(),
        config=True,
        help="""The most that the AI model may be asked for in a day (UTC), in tokens, or in money
        by ``model_prices``: of each ``user``, of each ``session``, and of the ``server``, such as
        ``{"user": {"tokens": 500000}, "server": {"cost": 20}}``.""",
    )
    model_prices = Dict(
        key_trait=Unicode(),
        value_trait=List(Float()),
        config=True,
        help="""What models cost, by their names: the price of a million tokens of what is asked,
        and of what is answered, such as ``{"gpt-5": [1.25, 10]}``.""",
    )
    ai_content_hours = Float(
        DEFAULT_KEEPING.hours,
        min=0.0,
        config=True,
        help="""Hours for which the results of AI operations are kept, to be applied and undone.
        Who ran what, and what it cost, is kept without them.""",
    )
    keep_ai_content = Bool(
        False,
        config=True,
        help="Whether results of AI operations are kept for ever, and what was asked for as well.",
    )
    mask_secrets = Bool(
        True,
        config=True,
        help="""Whether keys, passwords and other secrets in code are taken out before it is sent
        to the model, and put back into what it answers.""",
    )
    debugger_hints = Bool(
        False,
        config=True,
        help="""Whether the debugger tells, too, what is right and saves next to nothing, such as
        a loop that could be a comprehension.""",
    )
    isolated_execution = Enum(
        [one.value for one in Isolation],
        default_value=Isolation.NONE.value,
        config=True,
        help="""How the generator runs tests that are given to it: not at all (``none``), or in
        a sandbox of ``bubblewrap`` on Linux, which is attacked before it is used: where it does
        not hold, nothing is run, and the answer says so.""",
    )
    history_days = Int(
        KEEP_DAYS,
        min=0,
        config=True,
        help="""Days for which the history of a document keeps every span of work; what is older
        becomes one version a day. Named versions stay. 0 keeps every span for ever.""",
    )
    audit_days = Int(
        365,
        min=0,
        config=True,
        help="Days for which the audit log keeps who did what; 0 keeps it for ever.",
    )
    root_name = Unicode(
        "",
        config=True,
        help="""What tells the files of this server from those of others that might use the same
        database: the real path of the server's root folder by default. Where the same files are
        at another path, as in another container or since they were moved, give the old one.""",
    )
    max_sessions = Int(
        DEFAULT_BOUNDS.sessions,
        min=1,
        config=True,
        help="Sessions of which one account may be an owner.",
    )
    max_members = Int(
        DEFAULT_BOUNDS.members, min=1, config=True, help="Members that one session may have."
    )
    max_invitations = Int(
        DEFAULT_BOUNDS.invitations,
        min=1,
        config=True,
        help="Invitations to one session that may wait to be accepted.",
    )

    # ------------------------------------------------------------ start

    def _link_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        """Take charge of who somebody is, before Jupyter decides it."""
        with linking.or_exit():
            logs.join(serverapp.log)
            super()._link_jupyter_server_extension(serverapp)
            upstream.check()
            serverapp.update_config(Config({"YDocExtension": {"ystore_class": LogYStore}}))
        external = partial(external_provider, issuer=self.external_issuer)
        linking.link(
            serverapp, CollabIdentityProvider, external if self.external_accounts else None
        )

    @classmethod
    def _load_jupyter_server_extension(cls, serverapp: ServerApp) -> CollabAI:
        """Build everything, before the server listens; or end it."""
        with linking.or_exit():
            extension = super()._load_jupyter_server_extension(serverapp)  # type: ignore[no-untyped-call]
            assert isinstance(extension, CollabAI)
            return extension

    def initialize_handlers(self) -> None:
        """Put the rooms of the house together, and the gate before all of the server."""
        server = self.serverapp
        assert server is not None
        with linking.or_exit(because=""):
            settings = read_settings()
            name = self.root_name or name_of(server.root_dir)
            self._database = database = open_for(settings, name)
            with database.explained():
                starter = take_charge(database, starter_name(system_name()))

        self._hub = hub = EventHub()
        policy = Policy.of(
            debugger_roles=tuple(Role(role) for role in self.debugger_roles),
            execution_roles=tuple(Role(role) for role in self.execution_roles),
        )
        bounds = Bounds(
            sessions=self.max_sessions,
            members=self.max_members,
            invitations=self.max_invitations,
        )
        # Rooms, locks and sessions ask one another, so each gets the others by name.
        leases = Leases(database)
        board = LockBoard(database, leases, lambda: self._documents, hub)
        contents = JupyterContents(server.contents_manager)
        sessions = Sessions(database, contents, board, _Moves(self), policy=policy, bounds=bounds)
        rights = SessionRights(sessions)
        files = Files(lambda: server.contents_manager, max_file=self.max_document_size)
        write_whole(
            server.contents_manager, lambda: upstream.goes_by_inode(server.web_app.settings)
        )
        self._compactor = compactor = Compactor(database, keep_days=self.history_days)
        self._rooms = rooms = Rooms(
            database,
            files,
            rights,
            events=hub,
            compactor=compactor,
            idle=self.room_idle_seconds,
        )
        history = History(
            database, rooms, rights, Accounts(database), OperationLocks(board), compactor
        )
        self._documents = SharedDocuments(rooms)
        members = Members(database, sessions, rooms)
        invitations = Invitations(database, sessions)
        limiter = RateLimiter()
        identity = Identity(
            database,
            Tokens(keys.key_ring(settings)),
            hasher=Hasher(),
            limiter=limiter,
            invitations=invitations,
            accounts=sessions,
            starter=starter,
            external=self.external_accounts,
        )
        provider = server.identity_provider
        sign_in = sign_in_handlers(provider) if self.external_accounts else ()
        assert isinstance(provider, CollabProvider)  # set while linking
        provider.identity = identity
        self._identity = identity
        confirmations = Confirmations(database, identity, limiter)
        feed = Feed(database, sessions, hub, identity)
        self._board = board
        self._model = Model(
            ModelSettings(
                api_key=settings.openai_api_key,
                base_url=settings.openai_base_url,
                name=settings.model,
            ),
            mask_secrets=self.mask_secrets,
            meter=Meter(database, Terms.of(self.ai_budgets, self.model_prices)),
        )
        self._operations = Operations(
            database,
            self._documents,
            sessions,
            identity,
            leases,
            board,
            Analyzers(hints=self.debugger_hints),
            self._model,
            hub,
            contents,
            Keeping(hours=self.ai_content_hours, all=self.keep_ai_content),
            Execution(
                Isolation(self.isolated_execution),
                private_folders(server.root_dir, settings.data_dir),
            ),
        )
        self._sessions = sessions
        self._set_up = (
            f"all is kept in {database.place}; the data folder is {settings.data_dir}; "
            f"logins are signed by {keys.origin(settings)}; {self._accounts_come(server.ip)}"
        )
        self._retention = AuditRetention(database, self.audit_days)

        limits = {"max_message": self.max_message_size}
        seats = Seats(self.max_connections)
        self.handlers.extend(
            [
                *health.handlers(_url, database),
                *openapi.handlers(_url),
                *identity_handlers.handlers(_url, identity, invitations, confirmations),
                *session_handlers.handlers(
                    _url, sessions, members, invitations, feed, confirmations
                ),
                *ai_handlers.handlers(_url, self._operations),
                *history_handlers.handlers(_url, history),
                *room_sockets.handlers(_url, rooms, rights, identity, seats, **limits),
                (_url("(.*)"), UnknownHandler),
            ]
        )
        self._lobby = lobby = Lobby()
        self._file_ids = FileIds(lambda: server.web_app.settings["file_id_manager"], canonical)
        self._side_rooms = side_rooms = SideRooms(
            Timelines(database, rooms, rights, OperationLocks(board)),
            Forks(database, rooms, rights, OperationLocks(board)),
        )
        self._gate: Gate = linking.install(
            server,
            standings=sessions,
            locks=board,
            moves=sessions,
            logins=identity,
            folders=Folders(settings.data_dir / "lab", starter.username),
            confirmations=confirmations,
            seats=seats,
            replacements={
                **upstream.replacements(
                    rooms, rights, identity, lobby, side_rooms, self._file_ids, **limits
                ),
                **profile.replacements(identity),
            },
            allowed=tuple(self.allowed_extensions),
            public=sign_in,
            members_run_code=bool(self.execution_roles),
            side_rooms=side_rooms,
        )
        web_settings = server.web_app.settings
        web_settings[LIMITER] = limiter
        web_settings["collab_registration"] = self.registration
        web_settings["collab_listens_on"] = server.ip
        # Links of invitations, also where a login leads back to one, stay out of the log.
        scrubbed = web_settings.get("extra_log_scrub_param_keys", [])
        web_settings["extra_log_scrub_param_keys"] = [*scrubbed, "invitation", "next"]

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        """Begin what needs the event loop."""
        provider = ExternalProvider if self.external_accounts else CollabIdentityProvider
        if self.external_accounts:
            # JupyterHub's own extension puts a hook of its own in place of ours.
            linking.guard_pages(serverapp, members_run_code=bool(self.execution_roles))
        linking.verify_installed(serverapp, self._gate, provider)
        with linking.or_exit():
            for apps in serverapp.extension_manager.extension_apps.values():
                for app in apps:
                    if isinstance(app, YDocExtension):
                        upstream.adopt(app, self._rooms, self._file_ids)
            # Waits for the first answer of the database's notifications.
            self._database.listen()
            self._board.start()
            self._operations.start()
            self._retention.start()
            self._compactor.start()
            favour_the_loop()
        await self._make_own_folder()
        log.info("Ready: %s.", self._set_up)

    async def _make_own_folder(self) -> None:
        """Make the folder of whoever starts the server; without it they still open all others."""
        try:
            await self._sessions.make_home(self._identity.starter_name)
        except Exception as error:
            log.warning(
                "The folder of %s could not be made: %s",
                self._identity.starter_name,
                logs.cause_of(error),
            )

    def _accounts_come(self, listens_on: str) -> str:
        if self.external_accounts:
            return f"accounts come from {self.external_issuer or 'another identity provider'}"
        configured = Registration(self.registration) if self.registration else None
        return f"{who_may_register(configured, listens_on=listens_on)} may register"

    async def stop_extension(self) -> None:
        """Save and let go of everything."""
        await self._retention.close()
        await self._compactor.close()
        await self._operations.close()
        await self._board.close()
        self._lobby.close()
        self._side_rooms.close()
        await self._rooms.close_all()
        self._hub.close()
        await self._model.close()
        await self._database.close()
        logs.leave()


class _Moves:
    """Tells the rooms of files that were moved or deleted; they are made after who asks."""

    def __init__(self, app: CollabAI) -> None:
        self._app = app

    async def renamed(self, old: str, new: str) -> None:
        """Let documents follow their files."""
        await self._app._rooms.renamed(old, new)

    async def deleted(self, path: str) -> None:
        """Forget documents whose files are gone."""
        await self._app._rooms.deleted(path)


def _url(pattern: str) -> str:
    """Return the pattern of one of our own calls; Jupyter adds its base URL."""
    return rf"/collab-ai/{pattern}/?"
