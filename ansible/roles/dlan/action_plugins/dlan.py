"""The one action of the role: reads the inventory on the controller, and speaks with a router over ansible's connection.

Nothing is run on the router but its shell and `dlan`: no Python, no module.
"""

from __future__ import annotations

import pathlib
import sys
from typing import Any, Dict

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

# A role has no place from which python would import by itself.
_LIBRARY = str(pathlib.Path(__file__).resolve().parents[1] / "plugin_utils")
if _LIBRARY not in sys.path:
    sys.path.insert(0, _LIBRARY)

from dlan_controller import checks, deploy, errands, migrate  # noqa: E402
from dlan_controller.reader import TRUE, VARIABLES  # noqa: E402
from dlan_controller.router import Router, RouterError, Said, Shell  # noqa: E402

# What the key that a router said is called among its facts.
KEY_FACT = "dlan_public_key"
ERRANDS = ("check", "install", "key", "deploy", "status", "rollback", "upgrade", "remove", "migrate")


class ConnectionShell(Shell):
    """Runs commands over ansible's connection, as whoever ansible becomes."""

    def __init__(self, action: ActionBase):
        self.action = action
        self.is_local = action._connection.transport == "local"

    def run(self, command: str, stdin: bytes = b"") -> Said:
        # With something to read there is never a terminal in between, which would change what is said.
        said = self.action._low_level_execute_command(command, sudoable=True, in_data=stdin or b"\n")
        return Said(said["rc"], said["stdout"], said["stderr"])

    def reset(self) -> None:
        self.action._connection.reset()


class ActionModule(ActionBase):
    """`dlan: do: ERRAND`."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        self.vars: Dict[str, Any] = task_vars or {}
        arguments = dict(self._task.args)
        errand = arguments.pop("do", None)
        if errand not in ERRANDS or arguments:
            raise AnsibleActionFail(f"do is one of {', '.join(ERRANDS)}, and there is no other argument")
        try:
            result.update(getattr(self, f"_do_{errand}")())
        except RouterError as error:
            result.update(failed=True, msg=f"{self.vars['inventory_hostname']}: {error}")
        except AnsibleConnectionFailure:
            raise
        return result

    # What is known on the controller

    def _variable(self, name: str, default: Any = None) -> Any:
        value = self.vars.get(name, default)
        return self._templar.template(value) if value is not None else default

    def _mesh(self) -> checks.Mesh:
        """Every host with a dlan_host_id, and every host of this play."""
        hostvars = self.vars["hostvars"]
        play = self.vars.get("ansible_play_hosts_all", [])
        inventory = {}
        for host in self.vars["groups"]["all"]:
            if host in play or hostvars[host].get("dlan_host_id") is not None:
                names = [name for name in hostvars[host] if str(name).startswith("dlan_") and name != KEY_FACT]
                # What else is called so is the operator's, and need not mean anything on every host.
                inventory[host] = {name: hostvars[host][name] if name in VARIABLES else None for name in names}
        return checks.read_mesh(_plain(inventory))

    def _good_mesh(self) -> checks.Mesh:
        mesh = self._mesh()
        if mesh.problems:
            lines = "\n".join(f"  {problem}" for problem in sorted(mesh.problems))
            raise AnsibleActionFail(f"the inventory is refused, and no router was touched:\n{lines}")
        return mesh

    def _router(self) -> Router:
        return Router(ConnectionShell(self), self._variable("dlan_program", "/usr/bin/dlan"))

    def _package(self):
        path = self._variable("dlan_package", "")
        if not path:
            return None
        file = pathlib.Path(path)
        return errands.Package(file.name, file.read_bytes())

    # Errands

    def _do_check(self) -> Dict[str, Any]:
        mesh = self._good_mesh()
        for warning in sorted(set(mesh.warnings)):
            self._display.warning(str(warning))
        return {"changed": False, "msg": f"{len(mesh.routers)} routers, no problems, {len(mesh.warnings)} warnings"}

    def _do_install(self) -> Dict[str, Any]:
        me = self._good_mesh().routers[self.vars["inventory_hostname"]]
        done = errands.install(self._router(), me.packages, self._package(), self._task.check_mode)
        return {"changed": bool(done), "msg": ", ".join(done) or "everything is installed"}

    def _do_key(self) -> Dict[str, Any]:
        me = self._good_mesh().routers[self.vars["inventory_hostname"]]
        router = self._router()
        if self._task.check_mode and router.version() is None:
            return {"changed": True, "msg": "the program is not installed yet"}
        key, is_made = errands.public_key(router, me, self._task.check_mode)
        facts = {KEY_FACT: key} if key else {}
        return {"changed": is_made, "msg": key or "a key would be made", "ansible_facts": facts}

    def _orders(self, mesh: checks.Mesh) -> deploy.Orders:
        hostvars = self.vars["hostvars"]
        keys = {host: hostvars[host].get("ansible_facts", {}).get(KEY_FACT) for host in mesh.routers}
        return deploy.Orders(
            confirm_seconds=_seconds(self._variable("dlan_confirm_time", "120s")),
            force=_is_true(self._variable("dlan_force", False)),
            wait_for_neighbors=_is_true(self._variable("dlan_wait_for_neighbors", True)),
            check_mode=self._task.check_mode,
            start_command=self._variable("dlan_start_command", ""),
            authorized_keys_file=self._variable("dlan_authorized_keys_file", ""),
            keys={host: str(key) for host, key in keys.items() if key},
        )

    def _do_deploy(self) -> Dict[str, Any]:
        mesh = self._good_mesh()
        outcome = deploy.run(mesh.routers, self.vars["inventory_hostname"], self._router(), self._orders(mesh))
        shown = list(outcome.differences)
        if outcome.plan:
            shown.append({"prepared": outcome.plan})
        return {"changed": outcome.changed, "msg": outcome.message, "plan": outcome.plan, "diff": shown}

    def _do_migrate(self) -> Dict[str, Any]:
        mesh = self._good_mesh()
        given = [self._variable(f"dlan_predecessor_{name}", "") for name in ("device", "stop", "release", "start", "remove")]
        pause = int(self._variable("dlan_migration_pause", migrate.Commands.pause))
        commands = migrate.commands_of(given, pause)
        name, router = self.vars["inventory_hostname"], self._router()
        outcome = migrate.Migration(mesh.routers, name, router, self._orders(mesh), commands).run()
        return {"changed": outcome.changed, "msg": outcome.message}

    def _do_status(self) -> Dict[str, Any]:
        said = errands.status(self._router())
        # Ansible prints what a task says that changed nothing only if it is told to.
        shown = {"_ansible_verbose_always": True}
        return {"changed": False, "msg": said["text"].splitlines(), "failed": not said["is_running"], **shown}

    def _do_rollback(self) -> Dict[str, Any]:
        number = self._variable("dlan_rollback_number")
        said, changed = errands.rollback(self._router(), None if number is None else int(number), self._task.check_mode)
        return {"changed": changed, "msg": said}

    def _do_upgrade(self) -> Dict[str, Any]:
        done = errands.upgrade(self._router(), self._package(), self._task.check_mode)
        return {"changed": bool(done), "msg": "upgraded" if done else "it is that version already"}

    def _do_remove(self) -> Dict[str, Any]:
        changed = errands.remove(self._router(), self._task.check_mode)
        return {"changed": changed, "msg": "removed" if changed else "nothing of dlan's is there"}


def _plain(value: Any) -> Any:
    """A value without what ansible attaches to it."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)


def _is_true(value: Any) -> bool:
    return str(value).strip().lower() in TRUE


def _seconds(value: Any) -> int:
    text = str(value).strip()
    factor = 60 if text.endswith("m") else 1
    if not text.rstrip("sm").isdigit() or not 30 <= int(text.rstrip("sm")) * factor <= 3600:
        raise AnsibleActionFail(f"dlan_confirm_time '{value}' is not a time from 30s to 60m")
    return int(text.rstrip("sm")) * factor
