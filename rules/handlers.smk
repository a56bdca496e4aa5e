# What is done before the first job and after the last one.


onstart:
    check()
    forget_probe()


onsuccess:
    tell_probe()


onerror:
    tell_probe()
