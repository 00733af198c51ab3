//! What those who run the server do on its host: on the database itself, whether a server runs or not.

use std::sync::Arc;

use fastpki_store::{DatabaseConfig, Schema, Store};
use fastpki_types::{Password, User, UserCreate};

use crate::{
    Clock, CreateUser, Error, PASSWORD_COST, Permit, UpdateUser, accounts::Accounts, lanes::Lanes,
    names::skeletons,
};

/// A database in the hands of its operator, brought up to date.
pub struct Operator {
    store: Store,
    lanes: Lanes,
    clock: Arc<dyn Clock>,
}

impl Operator {
    /// Opens the database, makes it where there is no SQLite file, and brings it up to date.
    pub async fn open(database: &DatabaseConfig, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        Ok(Self { store: Store::open(database, clock.now()).await?.patient(), lanes: Lanes::new(), clock })
    }

    /// Creates a user of any role, the very first one too.
    pub async fn create_user(&self, new: UserCreate) -> Result<User, Error> {
        // Before the first start of a server, perhaps.
        self.store.note_skeletons(skeletons).await?;
        let permit = Permit::<CreateUser, UserCreate>::of_operator(new);
        self.accounts().insert(permit.actor, permit.resource, false).await
    }

    /// Gives a user another password, which kills all of their tokens; with `activate`, an inactive one may sign in
    /// again.
    pub async fn reset_password(
        &self,
        username: &str,
        password: Password,
        activate: bool,
    ) -> Result<User, Error> {
        let user = self
            .store
            .user_by_name(username)
            .await?
            .ok_or_else(|| Error::Invalid(format!("there is no user '{}'", username.escape_debug())))?;
        let permit = Permit::<UpdateUser, _>::of_operator(user.user, password, activate);
        self.accounts().update(permit).await
    }

    /// What the database has of this program's schema.
    pub async fn schema(&self) -> Result<Schema, Error> {
        Ok(self.store.schema().await?)
    }

    /// Waits until everything is written, and closes the database.
    pub async fn close(&self) {
        self.store.close().await;
    }

    fn accounts(&self) -> Accounts<'_> {
        Accounts { store: &self.store, lanes: &self.lanes, clock: &*self.clock, cost: PASSWORD_COST }
    }
}

/// What a database has of this program's schema, without a change to it; `None` where there is no SQLite file.
pub async fn schema(database: &DatabaseConfig) -> Result<Option<Schema>, Error> {
    let Some(store) = Store::look(database).await? else { return Ok(None) };
    let schema = store.schema().await;
    store.close().await;
    Ok(Some(schema?))
}
