//! Overwriting the bytes of a SQLite file that hold nothing.
//!
//! `secure_delete` overwrites what is deleted. It does not reach what is left where rows were moved between pages,
//! nor what a program left behind that did not set it. VACUUM reaches everything, by writing the database three
//! times; this writes only the pages that need it. Which bytes of a page are in use says
//! [the file format](https://www.sqlite.org/fileformat2.html#b_tree_pages); what kind of page it is, `dbstat`.
//! Nothing that is in use is written, so that even half a page of it would do no harm.

use rusqlite::{Connection, params};

/// Overwrites unused bytes in every page, in one transaction.
pub(super) fn scrub(connection: &Connection) -> rusqlite::Result<()> {
    if !is_plain(connection)? {
        return connection.execute_batch("VACUUM");
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    match scrub_pages(connection) {
        Ok(()) => connection.execute_batch("COMMIT"),
        Err(error) => {
            connection.execute_batch("ROLLBACK")?;
            Err(error)
        }
    }
}

/// Whether pages can be read and written one by one, and are all of a kind that is known here.
fn is_plain(connection: &Connection) -> rusqlite::Result<bool> {
    let modules = "SELECT COUNT(*) FROM pragma_module_list WHERE name IN ('dbstat', 'sqlite_dbpage')";
    let modules: i64 = connection.query_row(modules, [], |row| row.get(0))?;
    let auto_vacuum: i64 = connection.query_row("PRAGMA auto_vacuum", [], |row| row.get(0))?;
    if modules < 2 || auto_vacuum != 0 {
        return Ok(false);
    }
    let header = page(connection, 1)?;
    Ok(header.get(RESERVED) == Some(&0))
}

fn scrub_pages(connection: &Connection) -> rusqlite::Result<()> {
    let pages: u32 = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    let mut in_use = vec![false; pages as usize + 1];
    let mut use_page = |number: u32| in_use.get_mut(number as usize).map(|place| *place = true);
    let mut trees = connection.prepare("SELECT pageno, pagetype, unused FROM dbstat")?;
    let mut rows = trees.query([])?;
    while let Some(row) = rows.next()? {
        let (number, unused): (u32, u32) = (row.get(0)?, row.get(2)?);
        use_page(number);
        if row.get_ref(1)?.as_str()? == "overflow" {
            overwrite(connection, number, |page| {
                vec![(page.len().saturating_sub(unused as usize), page.len())]
            })?;
        } else {
            overwrite(connection, number, |page| unused_by_cells(page, number))?;
        }
    }
    // Free pages: trunks list leaves, and leaves hold nothing.
    let mut trunk = number_at(&page(connection, 1)?, FIRST_TRUNK);
    while trunk != 0 && use_page(trunk).is_some() {
        let listed = page(connection, trunk)?;
        let leaves = number_at(&listed, 4) as usize;
        overwrite(connection, trunk, |page| vec![(8 + 4 * leaves, page.len())])?;
        trunk = number_at(&listed, 0);
    }
    for (number, _) in (0..).zip(&in_use).skip(1).filter(|(_, used)| !**used) {
        overwrite(connection, number, |page| vec![(0, page.len())])?;
    }
    Ok(())
}

/// What no cell takes in a page of a b-tree: between the cell pointers and the cells, and the free blocks but for
/// their heads.
fn unused_by_cells(page: &[u8], number: u32) -> Vec<(usize, usize)> {
    // The first page begins with the header of the file.
    let head = if number == 1 { 100 } else { 0 };
    let is_leaf = matches!(page.get(head), Some(0x0a | 0x0d));
    let pointers = head + if is_leaf { 8 } else { 12 };
    let cells = match short_at(page, head + 5) {
        0 => page.len(),
        start => start,
    };
    let mut unused = vec![(pointers + 2 * short_at(page, head + 3), cells)];
    let mut block = short_at(page, head + 1);
    while block != 0 {
        unused.push((block + 4, block + short_at(page, block + 2)));
        let next = short_at(page, block);
        block = if next > block { next } else { 0 };
    }
    unused
}

/// Fills parts of a page, each from one byte to before another, with zeros where they are not that already.
fn overwrite(
    connection: &Connection,
    number: u32,
    unused: impl Fn(&[u8]) -> Vec<(usize, usize)>,
) -> rusqlite::Result<()> {
    let mut read = connection.prepare_cached("SELECT data FROM sqlite_dbpage WHERE pgno = ?1")?;
    let cleaned = read.query_row([number], |row| {
        let page = row.get_ref(0)?.as_blob()?;
        let ranges = unused(page);
        let is_clean = |(from, to): &(usize, usize)| {
            page.get(*from..*to).is_none_or(|part| part.iter().all(|byte| *byte == 0))
        };
        Ok((!ranges.iter().all(is_clean)).then(|| {
            let mut page = page.to_vec();
            for (from, to) in ranges {
                page.get_mut(from..to).into_iter().for_each(|part| part.fill(0));
            }
            page
        }))
    })?;
    let Some(page) = cleaned else { return Ok(()) };
    let mut write = connection.prepare_cached("UPDATE sqlite_dbpage SET data = ?2 WHERE pgno = ?1")?;
    write.execute(params![number, page]).map(drop)
}

fn page(connection: &Connection, number: u32) -> rusqlite::Result<Vec<u8>> {
    connection.query_row("SELECT data FROM sqlite_dbpage WHERE pgno = ?1", [number], |row| row.get(0))
}

fn short_at(page: &[u8], place: usize) -> usize {
    page.get(place..place + 2).map_or(0, |bytes| usize::from(bytes[0]) << 8 | usize::from(bytes[1]))
}

fn number_at(page: &[u8], place: usize) -> u32 {
    let bytes = page.get(place..).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// Where the header of the file says how many bytes of each page are not SQLite's.
const RESERVED: usize = 20;
/// Where the header of the file names the first trunk of the list of free pages.
const FIRST_TRUNK: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// A database that is written, changed and moved about by a program that overwrites nothing.
    fn untidy() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "PRAGMA secure_delete = OFF;
                 CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, x TEXT);
                 CREATE INDEX i ON t (name);
                 CREATE TABLE gone (x TEXT);",
            )
            .unwrap();
        let mut insert = connection.prepare("INSERT INTO t VALUES ($1, $2, $3)").unwrap();
        for id in 0..1200_u32 {
            let secret = "SECRET--".repeat([3, 30, 200, 700][id as usize % 4]);
            insert.execute(params![id, format!("name {}", id * 7919 % 1200), secret]).unwrap();
        }
        drop(insert);
        connection.execute_batch("INSERT INTO gone SELECT x FROM t; DROP TABLE gone").unwrap();
        let mut update = connection.prepare("UPDATE t SET x = ?2 WHERE id = ?1").unwrap();
        for id in 0..1200_u32 {
            update.execute(params![id, "public. ".repeat([5, 42, 280, 990][id as usize % 4])]).unwrap();
        }
        drop(update);
        connection.execute_batch("DELETE FROM t WHERE id % 5 = 0").unwrap();
        connection
    }

    fn traces(connection: &Connection) -> usize {
        let mut pages = connection.prepare("SELECT data FROM sqlite_dbpage").unwrap();
        let pages = pages.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        pages
            .map(|page| {
                page.unwrap()
                    .windows(4)
                    .filter(|part| b"SECRET--SECRET--".windows(4).any(|trace| trace == *part))
                    .count()
            })
            .sum()
    }

    fn content(connection: &Connection) -> Vec<(i64, String, String)> {
        let mut rows = connection.prepare("SELECT id, name, x FROM t ORDER BY id").unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn nothing_is_left_of_what_was_and_all_of_what_is() {
        let connection = untidy();
        let before = content(&connection);
        assert!(traces(&connection) > 1000);
        assert!(
            is_plain(&connection).unwrap(),
            "SQLite was built without sqlite_dbpage: see .cargo/config.toml"
        );
        scrub(&connection).unwrap();
        assert_eq!(traces(&connection), 0);
        assert_eq!(content(&connection), before);
        let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        // It goes on as a database does.
        connection
            .execute_batch("INSERT INTO t SELECT id + 5000, name, x FROM t; DELETE FROM t WHERE id < 400")
            .unwrap();
        let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
    }

    #[test]
    fn pages_of_an_unknown_kind_are_left_to_vacuum() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("PRAGMA auto_vacuum = FULL; CREATE TABLE t (x)").unwrap();
        assert!(!is_plain(&connection).unwrap());
        scrub(&connection).unwrap();
    }
}
