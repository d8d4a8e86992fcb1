//! The disk as SQLite sees it: its table of C functions. The one file of the workspace with unsafe code; each
//! function turns C's arguments into Rust's, calls the handle and turns the answer into a number.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rusqlite::ffi;

use crate::disk::Fail;
use crate::handle::{Handle, Mode, Shared};
use crate::lock::Level;

/// Longest name of a file, bytes with the closing NUL.
const LONGEST_NAME: c_int = 512;
/// What SQLite assumes of disks unless it knows better, bytes.
const SECTOR: c_int = 4096;

/// What SQLite allocates for an open file.
#[repr(C)]
struct OpenFile {
    base: ffi::sqlite3_file,
    handle: *mut Handle,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // 2: with shared memory, without memory-mapped files.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// One registration at a time, so that no name is given twice.
static REGISTRATION: Mutex<()> = Mutex::new(());

/// Makes the disk known to SQLite. False when the name is taken.
pub(crate) fn register(name: &CStr, shared: &Arc<Shared>) -> bool {
    let _one = REGISTRATION.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the name is a C text.
    if !unsafe { ffi::sqlite3_vfs_find(name.as_ptr()) }.is_null() {
        return false;
    }
    // A connection may look at the table as long as it lives, and nobody tells when it ends: table, name and the
    // weak pointer stay for ever. The disk behind the weak pointer does not.
    let name = CString::into_raw(name.to_owned());
    let disk = Box::into_raw(Box::new(Arc::downgrade(shared)));
    let vfs = Box::into_raw(Box::new(ffi::sqlite3_vfs {
        iVersion: 2,
        szOsFile: size_of::<OpenFile>() as c_int,
        mxPathname: LONGEST_NAME,
        pNext: ptr::null_mut(),
        zName: name,
        pAppData: disk.cast(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_pathname),
        xDlOpen: Some(dl_open),
        xDlError: Some(dl_error),
        xDlSym: Some(dl_sym),
        xDlClose: Some(dl_close),
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(current_time),
        xGetLastError: Some(last_error),
        xCurrentTimeInt64: Some(current_time_int64),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    }));
    // SAFETY: the table is complete and lives for ever.
    unsafe { ffi::sqlite3_vfs_register(vfs, 0) == ffi::SQLITE_OK }
}

/// Takes the name out of SQLite's list. Connections that are open keep their table.
pub(crate) fn unregister(name: &CStr) {
    let _one = REGISTRATION.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the name is a C text, and what is found under it is a table that lives for ever.
    unsafe {
        let vfs = ffi::sqlite3_vfs_find(name.as_ptr());
        if !vfs.is_null() {
            ffi::sqlite3_vfs_unregister(vfs);
        }
    }
}

/// The answer in SQLite's numbers; `broken` says what could not be done.
fn code(done: Result<(), Fail>, broken: c_int) -> c_int {
    match done {
        Ok(()) => ffi::SQLITE_OK,
        Err(Fail::Broken) => broken,
        Err(Fail::Full) => ffi::SQLITE_FULL,
        Err(Fail::Busy) => ffi::SQLITE_BUSY,
        Err(Fail::Missing) => ffi::SQLITE_CANTOPEN,
    }
}

/// The same for a question; the answer goes to `to`.
///
/// # Safety
/// `to` is a place for the answer.
unsafe fn answer<T>(to: *mut T, value: Result<T, Fail>, broken: c_int) -> c_int {
    let put = |value| {
        // SAFETY: as above.
        unsafe { to.write(value) };
    };
    code(value.map(put), broken)
}

/// The disk behind a table, while there is one.
///
/// # Safety
/// `vfs` is a table made by `register`.
unsafe fn disk(vfs: *mut ffi::sqlite3_vfs) -> Option<Arc<Shared>> {
    // SAFETY: `register` put the pointer there, and nobody frees it.
    unsafe { (*(*vfs).pAppData.cast::<Weak<Shared>>()).upgrade() }
}

/// The handle behind an open file.
///
/// # Safety
/// `open` filled the file and `close` was not called. SQLite uses a file from one thread at a time.
unsafe fn handle<'a>(file: *mut ffi::sqlite3_file) -> &'a mut Handle {
    // SAFETY: as above.
    unsafe { &mut *(*file.cast::<OpenFile>()).handle }
}

/// A name given by SQLite.
///
/// # Safety
/// `name` is null or a C text that lives as long as the call.
unsafe fn text<'a>(name: *const c_char) -> Option<&'a str> {
    // SAFETY: as above.
    let name = (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) });
    name.and_then(|name| name.to_str().ok())
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    let has = |flag: c_int| flags & flag != 0;
    let mode = Mode {
        make: has(ffi::SQLITE_OPEN_CREATE),
        fresh: has(ffi::SQLITE_OPEN_EXCLUSIVE) && has(ffi::SQLITE_OPEN_CREATE),
        fleeting: has(ffi::SQLITE_OPEN_DELETEONCLOSE),
        names_itself: has(ffi::SQLITE_OPEN_WAL
            | ffi::SQLITE_OPEN_MAIN_JOURNAL
            | ffi::SQLITE_OPEN_SUPER_JOURNAL),
    };
    // SAFETY: SQLite hands over its table, a C text or null, room for an `OpenFile`, and a place for flags or null.
    unsafe {
        let file = file.cast::<OpenFile>();
        (*file).base.pMethods = ptr::null();
        let opened = disk(vfs)
            .ok_or(Fail::Broken)
            .and_then(|disk| Handle::open(disk, text(name), mode));
        match opened {
            Ok(handle) => {
                (*file).handle = Box::into_raw(Box::new(handle));
                (*file).base.pMethods = &METHODS;
                if !flags_out.is_null() {
                    *flags_out = flags;
                }
                ffi::SQLITE_OK
            }
            Err(fail) => code(Err(fail), ffi::SQLITE_CANTOPEN),
        }
    }
}

unsafe extern "C" fn delete(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_directory: c_int,
) -> c_int {
    // SAFETY: SQLite hands over its table and a C text.
    let (Some(disk), Some(name)) = (unsafe { (disk(vfs), text(name)) }) else {
        return ffi::SQLITE_IOERR_DELETE;
    };
    let mut disk = disk.lock();
    let done = match disk.delete(name) {
        Err(Fail::Missing) => return ffi::SQLITE_IOERR_DELETE_NOENT,
        Ok(()) if sync_directory & 1 != 0 => disk.sync_directory(),
        done => done,
    };
    code(done, ffi::SQLITE_IOERR_DELETE)
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    _question: c_int,
    answer: *mut c_int,
) -> c_int {
    // SAFETY: SQLite hands over its table, a C text and a place for the answer.
    unsafe {
        let (Some(disk), Some(name)) = (disk(vfs), text(name)) else {
            return ffi::SQLITE_IOERR_ACCESS;
        };
        *answer = c_int::from(disk.lock().exists(name));
    }
    ffi::SQLITE_OK
}

/// The disk has one directory: a name is complete as it is.
unsafe extern "C" fn full_pathname(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    to: *mut c_char,
) -> c_int {
    // SAFETY: SQLite hands over a C text and `room` bytes.
    unsafe {
        let bytes = CStr::from_ptr(name).to_bytes_with_nul();
        if bytes.len() > room as usize {
            return ffi::SQLITE_CANTOPEN;
        }
        ptr::copy_nonoverlapping(bytes.as_ptr().cast(), to, bytes.len());
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn dl_open(_: *mut ffi::sqlite3_vfs, _: *const c_char) -> *mut c_void {
    ptr::null_mut()
}

unsafe extern "C" fn dl_error(_: *mut ffi::sqlite3_vfs, room: c_int, to: *mut c_char) {
    if room > 0 {
        // SAFETY: SQLite hands over `room` bytes.
        unsafe { *to = 0 };
    }
}

unsafe extern "C" fn dl_sym(
    _: *mut ffi::sqlite3_vfs,
    _: *mut c_void,
    _: *const c_char,
) -> Option<unsafe extern "C" fn(*mut ffi::sqlite3_vfs, *mut c_void, *const c_char)> {
    None
}

unsafe extern "C" fn dl_close(_: *mut ffi::sqlite3_vfs, _: *mut c_void) {}

unsafe extern "C" fn randomness(vfs: *mut ffi::sqlite3_vfs, room: c_int, to: *mut c_char) -> c_int {
    // SAFETY: SQLite hands over its table and `room` bytes.
    unsafe {
        let Some(disk) = disk(vfs) else { return 0 };
        ptr::write_bytes(to, 0, room as usize);
        let bytes = std::slice::from_raw_parts_mut(to.cast::<u8>(), room as usize);
        disk.lock().dice.fill(bytes);
    }
    room
}

/// Nobody waits: the disk's clock moves.
unsafe extern "C" fn sleep(vfs: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    // SAFETY: SQLite hands over its table.
    if let Some(disk) = unsafe { disk(vfs) } {
        disk.lock().now += i64::from(microseconds).div_euclid(1000).max(1);
    }
    microseconds
}

unsafe extern "C" fn current_time(vfs: *mut ffi::sqlite3_vfs, to: *mut f64) -> c_int {
    let mut ms = 0;
    // SAFETY: SQLite hands over its table and a place for the answer.
    unsafe {
        let done = current_time_int64(vfs, &mut ms);
        *to = ms as f64 / 86_400_000.0;
        done
    }
}

unsafe extern "C" fn current_time_int64(vfs: *mut ffi::sqlite3_vfs, to: *mut i64) -> c_int {
    // SAFETY: SQLite hands over its table and a place for the answer.
    unsafe {
        let Some(disk) = disk(vfs) else {
            return ffi::SQLITE_ERROR;
        };
        *to = disk.lock().now;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn last_error(_: *mut ffi::sqlite3_vfs, _: c_int, _: *mut c_char) -> c_int {
    0
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: `open` made the box, and SQLite closes a file once.
    unsafe {
        drop(Box::from_raw((*file.cast::<OpenFile>()).handle));
        (*file).pMethods = ptr::null();
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    to: *mut c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: an open file, and `length` bytes, which are initialised here before they are borrowed.
    let (handle, to) = unsafe {
        ptr::write_bytes(to.cast::<u8>(), 0, length as usize);
        let to = std::slice::from_raw_parts_mut(to.cast::<u8>(), length as usize);
        (handle(file), to)
    };
    match handle.read(offset as u64, to) {
        Ok(read) if read == to.len() => ffi::SQLITE_OK,
        Ok(_) => ffi::SQLITE_IOERR_SHORT_READ,
        Err(fail) => code(Err(fail), ffi::SQLITE_IOERR_READ),
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: an open file, and `length` bytes.
    let (handle, data) = unsafe {
        let data = std::slice::from_raw_parts(from.cast::<u8>(), length as usize);
        (handle(file), data)
    };
    code(handle.write(offset as u64, data), ffi::SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    // SAFETY: an open file.
    let handle = unsafe { handle(file) };
    code(handle.truncate(size as u64), ffi::SQLITE_IOERR_TRUNCATE)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: an open file.
    let handle = unsafe { handle(file) };
    code(handle.sync(), ffi::SQLITE_IOERR_FSYNC)
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, to: *mut i64) -> c_int {
    // SAFETY: an open file and a place for the answer.
    unsafe {
        let size = handle(file).size().map(|size| size as i64);
        answer(to, size, ffi::SQLITE_IOERR_FSTAT)
    }
}

fn level(number: c_int) -> Level {
    match number {
        ffi::SQLITE_LOCK_NONE => Level::None,
        ffi::SQLITE_LOCK_SHARED => Level::Shared,
        ffi::SQLITE_LOCK_RESERVED => Level::Reserved,
        ffi::SQLITE_LOCK_PENDING => Level::Pending,
        _ => Level::Exclusive,
    }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, to: c_int) -> c_int {
    // SAFETY: an open file.
    let handle = unsafe { handle(file) };
    code(handle.raise(level(to)), ffi::SQLITE_IOERR_LOCK)
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, to: c_int) -> c_int {
    // SAFETY: an open file.
    unsafe { handle(file) }.lower(level(to));
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, to: *mut c_int) -> c_int {
    // SAFETY: an open file and a place for the answer.
    unsafe {
        let reserved = handle(file).is_reserved().map(c_int::from);
        answer(to, reserved, ffi::SQLITE_IOERR_CHECKRESERVEDLOCK)
    }
}

unsafe extern "C" fn file_control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    SECTOR
}

/// As on Unix: a write does not harm the bytes beside it.
unsafe extern "C" fn device_characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    make: c_int,
    to: *mut *mut c_void,
) -> c_int {
    // SAFETY: an open file and a place for the answer.
    unsafe {
        let start = handle(file).region(region as usize, size as usize, make != 0);
        answer(
            to,
            start.map(|start| start.cast()),
            ffi::SQLITE_IOERR_SHMMAP,
        )
    }
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: an open file.
    let handle = unsafe { handle(file) };
    let slots = first as usize..(first + count) as usize;
    if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        handle.unlock_memory(slots);
        return ffi::SQLITE_OK;
    }
    let alone = flags & ffi::SQLITE_SHM_EXCLUSIVE != 0;
    code(handle.lock_memory(slots, alone), ffi::SQLITE_IOERR_SHMLOCK)
}

unsafe extern "C" fn shm_barrier(_: *mut ffi::sqlite3_file) {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, _delete: c_int) -> c_int {
    // SAFETY: an open file.
    unsafe { handle(file) }.unmap();
    ffi::SQLITE_OK
}
