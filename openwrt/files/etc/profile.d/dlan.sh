# Tells who logs in that an apply waits to be confirmed.
/usr/bin/dlan window --banner 2>/dev/null
