"""Functions, types and macros of a board's C library (newlib): no namespace can be called so."""

C_NAMES = """
    a64l abort abs access acos acosf acosh acoshf acoshl acosl adjtime alarm aligned_alloc arc4random
    arc4random_buf arc4random_uniform asctime asctime_r asin asinf asinh asinhf asinhl asinl asiprintf
    asniprintf asnprintf asprintf at_quick_exit atan atan2 atan2f atan2l atanf atanh atanhf atanhl atanl
    atexit atof atoff atoi atol atoll basename bcmp bcopy bintime bintime2timespec bintime2timeval
    bintime_add bintime_addx bintime_mul bintime_shift bintime_sub bsearch btowc bttosbt bzero calloc cbrt
    cbrtf cbrtl ceil ceilf ceill cfree chdir chmod chown chroot clearerr clearerr_unlocked clock close
    confstr copysign copysignf copysignl cos cosf cosh coshf coshl cosl creat crypt ctermid ctime ctime_r
    cuserid daemon difftime diprintf div dprintf drand48 drem dremf dup dup2 dup3 duplocale eaccess eflock
    encrypt endusershell environ erand48 erf erfc erfcf erfcl erff erfl errno euidaccess execl execle
    execlp execlpe execv execve execvp execvpe exit exp exp10 exp10f exp2 exp2f exp2l expf expl
    explicit_bzero expm1 expm1f expm1l fabs fabsf fabsl faccessat fchdir fchmod fchmodat fchown fchownat
    fclose fcloseall fcntl fd_mask fd_set fdatasync fdim fdimf fdiml fdopen feof feof_unlocked ferror
    ferror_unlocked fexecve fflush fflush_unlocked ffs ffsl ffsll fgetc fgetc_unlocked fgetpos fgets
    fgets_unlocked fgetwc fgetwc_unlocked fgetws fgetws_unlocked fileno fileno_unlocked finite finitef
    finitel fiprintf fiscanf flock flockfile floor floorf floorl fls flsl flsll fma fmaf fmal fmax fmaxf
    fmaxl fmemopen fmin fminf fminl fmod fmodf fmodl fopen fopencookie fork fpathconf fpclassify fprintf
    fpurge fputc fputc_unlocked fputs fputs_unlocked fputwc fputwc_unlocked fputws fputws_unlocked fread
    fread_unlocked free freelocale freopen frexp frexpf frexpl fscanf fseek fseeko fsetpos fstat fstatat
    fsync ftell ftello ftruncate ftrylockfile funlockfile funopen futimens futimes futimesat fwide
    fwprintf fwrite fwrite_unlocked fwscanf gamma gamma_r gammaf gammaf_r get_current_dir_name getc
    getc_unlocked getchar getchar_unlocked getcwd getdomainname getdtablesize getegid getentropy getenv
    geteuid getgid getgroups gethostid gethostname getitimer getlogin getopt getpagesize getpass
    getpeereid getpgid getpgrp getpid getppid gets getsid getsubopt gettimeofday getuid getusershell getw
    getwc getwc_unlocked getwchar getwchar_unlocked getwd gmtime gmtime_r hypot hypotf hypotl ilogb ilogbf
    ilogbl imaxabs imaxdiv index infinity infinityf initstate iprintf iruserok isalnum isalnum_l isalpha
    isalpha_l isascii isascii_l isatty isblank isblank_l iscanf iscntrl iscntrl_l isdigit isdigit_l
    isfinite isgraph isgraph_l isgreater isgreaterequal isinf isinff isless islessequal islessgreater
    islower islower_l isnan isnanf isnormal isprint isprint_l ispunct ispunct_l issetugid isspace
    isspace_l isunordered isupper isupper_l iswalnum iswalnum_l iswalpha iswalpha_l iswblank iswblank_l
    iswcntrl iswcntrl_l iswctype iswctype_l iswdigit iswdigit_l iswgraph iswgraph_l iswlower iswlower_l
    iswprint iswprint_l iswpunct iswpunct_l iswspace iswspace_l iswupper iswupper_l iswxdigit iswxdigit_l
    isxdigit isxdigit_l itimerspec itimerval itoa j0 j0f j1 j1f jmp_buf jn jnf jrand48 kill killpg l64a
    labs lchown lcong48 lconv ldexp ldexpf ldexpl ldiv lgamma lgamma_r lgammaf lgammaf_r lgammal link
    linkat llabs lldiv llrint llrintf llrintl llround llroundf llroundl localeconv localtime localtime_r
    lockf log log10 log10f log10l log1p log1pf log1pl log2 log2f log2l logb logbf logbl logf logl longjmp
    lrand48 lrint lrintf lrintl lround lroundf lroundl lseek lutimes malloc math_errhandling mblen mbrlen
    mbrtowc mbsinit mbsnrtowcs mbsrtowcs mbstowcs mbtowc memccpy memchr memcmp memcpy memmem memmove
    mempcpy memrchr memset mkdir mkdirat mkdtemp mkfifo mkfifoat mknodat mkostemp mkostemps mkstemp
    mkstemps mktemp mktime modf modff modfl mrand48 mstosbt nan nanf nanl nearbyint nearbyintf nearbyintl
    newlocale nextafter nextafterf nextafterl nexttoward nexttowardf nexttowardl nice nrand48 nstosbt
    on_exit open open_memstream open_wmemstream openat optarg opterr optind optopt optreset pathconf pause
    pclose perror pipe pipe2 popen posix_memalign pow pow10 pow10f powf powl pread printf pselect psignal
    pthread_atfork pthread_kill pthread_sigmask putc putc_unlocked putchar putchar_unlocked putenv puts
    putw putwc putwc_unlocked putwchar putwchar_unlocked pwrite qsort qsort_r quick_exit raise rand rand_r
    random rawmemchr read readlink readlinkat realloc reallocarray reallocf realpath remainder remainderf
    remainderl remove remquo remquof remquol rename renameat revoke rewind rindex rint rintf rintl rmdir
    round roundf roundl rpmatch rresvport ruserok sbintime_getsec sbrk sbttobt sbttoms sbttons sbttots
    sbttotv sbttous scalbln scalblnf scalblnl scalbn scalbnf scalbnl scanf sched_param secure_getenv
    seed48 select setbuf setbuffer setdtablesize setegid setenv seteuid setgid setgroups sethostname
    setitimer setjmp setkey setlinebuf setlocale setpgid setpgrp setregid setreuid setsid setstate
    settimeofday setuid setusershell setvbuf sigaction sigaddset sigaltstack sigdelset sigemptyset
    sigevent sigfillset sigismember signal signbit signgam sigpause sigpending sigprocmask sigqueue
    sigsuspend sigtimedwait sigval sigwait sigwaitinfo sin sincos sincosf sinf sinh sinhf sinhl sinl
    siprintf siscanf sleep sniprintf snprintf sprintf sqrt sqrtf sqrtl srand srand48 srandom sscanf
    st_atime st_ctime st_mtime stat stderr stdin stdout stpcpy stpncpy strcasecmp strcasecmp_l strcasestr
    strcat strchr strchrnul strcmp strcoll strcoll_l strcpy strcspn strdup strerror strerror_l strerror_r
    strftime strftime_l strlcat strlcpy strlen strlwr strncasecmp strncasecmp_l strncat strncmp strncpy
    strndup strnlen strnstr strpbrk strptime strptime_l strrchr strsep strsignal strspn strstr strtod
    strtod_l strtodf strtof strtof_l strtoimax strtoimax_l strtok strtok_r strtol strtol_l strtold
    strtold_l strtoll strtoll_l strtoul strtoul_l strtoull strtoull_l strtoumax strtoumax_l strupr
    strverscmp strxfrm strxfrm_l suboptarg swab swprintf swscanf symlink symlinkat sync sysconf system tan
    tanf tanh tanhf tanhl tanl tcgetpgrp tcsetpgrp tempnam tgamma tgammaf tgammal time timespec
    timespec2bintime timeval timeval2bintime timezone timingsafe_bcmp timingsafe_memcmp tm tmpfile tmpnam
    toascii toascii_l tolower tolower_l toupper toupper_l towctrans towctrans_l towlower towlower_l
    towupper towupper_l trunc truncate truncf truncl tstosbt ttyname ttyname_r tvtosbt tzname tzset u_char
    u_int u_long u_short ualarm uint ulong umask ungetc ungetwc unlink unlinkat unsetenv uselocale ushort
    usleep ustosbt utimensat utimes utoa va_list vasiprintf vasniprintf vasnprintf vasprintf vdiprintf
    vdprintf vfiprintf vfiscanf vfork vfprintf vfscanf vfwprintf vfwscanf vhangup viprintf viscanf vprintf
    vscanf vsiprintf vsiscanf vsniprintf vsnprintf vsprintf vsscanf vswprintf vswscanf vwprintf vwscanf
    wcpcpy wcpncpy wcrtomb wcscasecmp wcscasecmp_l wcscat wcschr wcscmp wcscoll wcscoll_l wcscpy wcscspn
    wcsdup wcsftime wcsftime_l wcslcat wcslcpy wcslen wcsncasecmp wcsncasecmp_l wcsncat wcsncmp wcsncpy
    wcsnlen wcsnrtombs wcspbrk wcsrchr wcsrtombs wcsspn wcsstr wcstod wcstod_l wcstof wcstof_l wcstoimax
    wcstoimax_l wcstok wcstol wcstol_l wcstold wcstold_l wcstoll wcstoll_l wcstombs wcstoul wcstoul_l
    wcstoull wcstoull_l wcstoumax wcstoumax_l wcswidth wcsxfrm wcsxfrm_l wctob wctomb wctrans wctrans_l
    wctype wctype_l wcwidth wmemchr wmemcmp wmemcpy wmemmove wmempcpy wmemset wprintf write wscanf y0 y0f
    y1 y1f yn ynf
"""
