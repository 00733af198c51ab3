//! Routes, each with what it says of itself: there is no way to add one without its description.

use axum::{
    Router,
    handler::Handler,
    http::Method,
    routing::{MethodFilter, on},
};

use crate::{
    openapi::{Description, Operation},
    state::AppState,
};

/// Routes of one kind.
pub(crate) struct Routes {
    tag: &'static str,
    router: Router<AppState>,
    description: Description,
}

impl Routes {
    /// Under this heading.
    pub(crate) fn tagged(tag: &'static str) -> Self {
        Self { tag, router: Router::new(), description: Description::default() }
    }

    /// Adds a route. What it takes and what it answers follows from the handler's arguments and result; `refusals` are
    /// the statuses, beyond those, with which it refuses. A path that ends in a slash works without it too.
    pub(crate) fn on<H, T, A>(
        self,
        method: Method,
        path: &'static str,
        handler: H,
        summary: &'static str,
        refusals: &[u16],
    ) -> Self
    where
        H: Handler<T, AppState> + Endpoint<A>,
        T: 'static,
    {
        let mut described = self.add(&method, path, handler);
        let mut operation = Operation::new(&mut described.description, described.tag, method, path, summary);
        H::describe(&mut operation);
        operation.finish(refusals);
        described
    }

    /// Adds a route of several documents: each with its path, its summary and its media type.
    pub(crate) fn files<H, T>(
        self,
        path: &'static str,
        handler: H,
        documents: &[(&'static str, &'static str, &'static str)],
    ) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        let mut described = self.add(&Method::GET, path, handler);
        for (path, summary, media_type) in documents {
            let mut operation =
                Operation::new(&mut described.description, described.tag, Method::GET, path, summary);
            operation.slug_parameter();
            operation.answers_file(media_type);
            operation.answers_nothing(304, "Not changed since");
            operation.finish(&[404]);
        }
        described
    }

    /// Adds other routes.
    pub(crate) fn merge(self, other: Self) -> Self {
        Self {
            tag: self.tag,
            router: self.router.merge(other.router),
            description: self.description.merge(other.description),
        }
    }

    /// Puts all of them under a prefix.
    pub(crate) fn under(self, prefix: &str) -> Self {
        let router = Router::new().nest(prefix, self.router);
        Self { tag: self.tag, router, description: self.description.under(prefix) }
    }

    /// What serves them, and what they say of themselves.
    pub(crate) fn split(self) -> (Router<AppState>, Description) {
        (self.router, self.description)
    }

    fn add<H, T>(self, method: &Method, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).expect("a method of HTTP's own");
        let mut router = self.router;
        if let Some(bare) = path.strip_suffix('/').filter(|bare| !bare.is_empty()) {
            router = router.route(bare, on(filter, handler.clone()));
        }
        Self { router: router.route(path, on(filter, handler)), ..self }
    }
}

/// An argument or a result of a handler, which says of itself what it takes or answers.
pub(crate) trait Describe {
    fn describe(operation: &mut Operation<'_>);
}

/// A handler whose arguments and result describe themselves.
pub(crate) trait Endpoint<A> {
    fn describe(operation: &mut Operation<'_>);
}

macro_rules! endpoints {
    ($(($($argument:ident)*))*) => {$(
        impl<H, W, R, E, $($argument,)*> Endpoint<($($argument,)*)> for H
        where
            H: Fn($($argument),*) -> W,
            W: Future<Output = Result<R, E>>,
            R: Describe,
            $($argument: Describe,)*
        {
            fn describe(operation: &mut Operation<'_>) {
                $($argument::describe(operation);)*
                R::describe(operation);
            }
        }
    )*};
}

endpoints! { () (A) (A B) (A B C) (A B C D) (A B C D F) }
