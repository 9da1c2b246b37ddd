"""The tests' own server."""

from tests.component.postgresql.server import Server, a_server


def test_two_servers_do_not_meet_and_leave_nothing(postgresql: Server) -> None:
    with a_server() as other:
        assert other.folder != postgresql.folder
        database = other.new_database()
        other.run("CREATE TABLE t(i int)", database)
    assert not other.folder.exists()
    assert postgresql.run("SELECT 1") == "1\n"
