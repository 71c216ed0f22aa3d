"""The panel: a window that speaks to the server over HTTP, as any Studio would.

``window`` is what one sees, ``panels`` its parts, ``client`` the way to the server, ``inbox`` the
way back into Tk's thread. The process around it is ``app.commands.desktop``.
"""
