//! Keys, what is sealed with them, and the lock on the data directory.

use crate::journal::tenant;
use countersign::store::cipher::{self, NotOpened};
use countersign::store::keys::{Keys, KeysError};
use countersign::store::lock::{Lock, LockError};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn a_tenants_key_is_made_once_and_stays_until_it_is_erased() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data/keys");
    let keys = Keys::open(&path).unwrap();
    let (ann, bob) = (tenant(1), tenant(2));
    assert!(keys.key(ann).is_none());
    let sealed = cipher::seal(&keys.create(ann).unwrap(), ann, b"", b"plain").unwrap();
    keys.create(bob).unwrap();
    drop(keys);
    std::fs::write(path.join("0.key.temp"), b"half").unwrap();
    let keys = Keys::open(&path).unwrap();
    assert!(!path.join("0.key.temp").exists());
    for key in [keys.key(ann).unwrap(), keys.create(ann).unwrap()] {
        assert_eq!(cipher::open(&key, ann, b"", &sealed).unwrap(), b"plain");
    }
    let other = keys.key(bob).unwrap();
    assert_eq!(cipher::open(&other, ann, b"", &sealed), Err(NotOpened::Refused));
    keys.erase(ann).unwrap();
    keys.erase(ann).unwrap();
    assert!(keys.key(ann).is_none());
    let file = path.join(format!("{ann}.key"));
    assert!(!file.exists());
    // What a crash between the mark and the key leaves, or whoever copies an older key back: the mark counts.
    std::fs::copy(path.join(format!("{bob}.key")), &file).unwrap();
    for keys in [Keys::look(&path).unwrap(), Keys::open(&path).unwrap()] {
        assert!(keys.is_erased(ann) && keys.key(ann).is_none());
        assert!(!keys.is_erased(bob) && keys.key(bob).is_some());
        assert!(matches!(keys.create(ann), Err(KeysError::Erased(who)) if who == ann));
        assert!(matches!(keys.adopt(ann, &other), Err(KeysError::Erased(who)) if who == ann));
    }
    assert!(!file.exists());
}

#[test]
fn key_files_are_the_owners_only_and_keys_are_never_printed() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let keys = Keys::open(directory.path()).unwrap();
    let key = keys.create(tenant(1)).unwrap();
    keys.secret("token-signing", || b"geheim".to_vec()).unwrap();
    assert_eq!(mode(directory.path()), 0o700);
    let mut files = 0;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
        files += 1;
    }
    assert_eq!(files, 2);
    assert_eq!(format!("{key:?}"), "TenantKey(redacted)");
    assert!(!format!("{keys:?}").contains("geheim"));
}

#[test]
fn a_secret_is_made_once() {
    let directory = tempfile::tempdir().unwrap();
    let keys = Keys::open(directory.path()).unwrap();
    for _ in 0..2 {
        assert_eq!(*keys.secret("one", || b"first".to_vec()).unwrap(), b"first");
    }
    assert_eq!(*keys.secret("two", || b"second".to_vec()).unwrap(), b"second");
    let keys = Keys::open(directory.path()).unwrap();
    assert_eq!(*keys.secret("one", || panic!("made again")).unwrap(), b"first");
    for name in ["", "../one", "a b", "A", "one.secret"] {
        assert!(matches!(keys.secret(name, Vec::new), Err(KeysError::Name(_))), "{name}");
    }
}

#[test]
fn every_flipped_bit_of_a_key_file_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let keys = Keys::open(directory.path()).unwrap();
    keys.create(tenant(1)).unwrap();
    let path = directory.path().join(format!("{}.key", tenant(1)));
    let whole = std::fs::read(&path).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, bytes).unwrap();
        match Keys::open(directory.path()) {
            Err(KeysError::Damaged(file)) => assert_eq!(file, path),
            // A later format is told by its version alone.
            Err(KeysError::Newer { path: file, .. }) if bit < 8 => assert_eq!(file, path),
            other => panic!("{other:?}"),
        }
    }
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert!(matches!(Keys::open(directory.path()), Err(KeysError::Damaged(_))));
}

#[test]
fn what_was_sealed_opens_only_as_what_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let keys = Keys::open(directory.path()).unwrap();
    let (ann, bob) = (tenant(1), tenant(2));
    let key = keys.create(ann).unwrap();
    for plain in [b"".as_slice(), b"x", &[7; 100_000]] {
        let sealed = cipher::seal(&key, ann, b"record 1", plain).unwrap();
        // What repeats is made smaller before it is encrypted.
        if plain.len() < 100 {
            assert_eq!(sealed.len(), plain.len() + 41);
        } else {
            assert!(sealed.len() < 100, "{}", sealed.len());
        }
        assert_eq!(cipher::open(&key, ann, b"record 1", &sealed).unwrap(), plain);
        assert_eq!(cipher::open(&key, ann, b"record 2", &sealed), Err(NotOpened::Refused));
        assert_eq!(cipher::open(&key, bob, b"record 1", &sealed), Err(NotOpened::Refused));
        assert_ne!(cipher::seal(&key, ann, b"record 1", plain).unwrap(), sealed);
    }
    let sealed = cipher::seal(&key, ann, b"", b"some bytes").unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut bytes = sealed.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let refused = if bit < 8 { NotOpened::Newer(bytes[0]) } else { NotOpened::Refused };
        assert_eq!(cipher::open(&key, ann, b"", &bytes), Err(refused), "{bit}");
    }
    for left in 0..sealed.len() {
        assert_eq!(cipher::open(&key, ann, b"", &sealed[..left]), Err(NotOpened::Refused), "{left}");
    }
}

#[test]
fn a_data_directory_serves_one_server_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let lock = Lock::take(&path).unwrap();
    let error = Lock::take(&path).unwrap_err();
    assert!(matches!(error, LockError::InUse(_)));
    let sentence = error.to_string();
    assert!(sentence.starts_with("another server uses"), "{sentence}");
    assert!(sentence.contains(path.to_str().unwrap()), "{sentence}");
    drop(lock);
    Lock::take(&path).unwrap();
    assert_eq!((mode(&path), mode(&path.join("format"))), (0o700, 0o600));
}

#[test]
fn a_format_that_is_newer_or_missing_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let lock = Lock::take(directory.path()).unwrap();
    drop(lock);
    assert_eq!(std::fs::read(directory.path().join("format")).unwrap(), b"1\n");
    std::fs::write(directory.path().join("format"), b"2\n").unwrap();
    let error = Lock::take(directory.path()).unwrap_err();
    assert!(matches!(&error, LockError::Newer { found, .. } if found == "2"), "{error}");
    std::fs::remove_file(directory.path().join("format")).unwrap();
    std::fs::create_dir(directory.path().join("journal")).unwrap();
    let error = Lock::take(directory.path()).unwrap_err();
    assert!(matches!(error, LockError::NoFormat(_)), "{error}");
}
