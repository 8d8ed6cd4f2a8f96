//! The server: few connections, little time and small requests for each.

use std::convert::Infallible;
use std::future::Future;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::metrics::{self, Format};
use super::page;
use super::seats::{Seat, Seats};
use super::targets::Targets;

/// Bytes of a request's head; nobody needs more to ask for one of five pages.
const MOST_HEAD_BYTES: usize = 16 << 10;
/// Headers of a request.
const MOST_HEADERS: usize = 64;
/// Time in which a request's head has to arrive, also on a connection that is kept open.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Time after which a connection is ended once it has its answer.
const CONNECTION_TIME: Duration = Duration::from_secs(60);
/// Time that is left then to take the answer.
const LAST_TIME: Duration = Duration::from_secs(10);

/// What the server grants.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time; for one more, that which has waited longest for its client ends.
    pub connections: usize,
    /// Sites with series of their own, for each target.
    pub sites: usize,
    /// Whether the server listens on loopback alone, and so refuses names of other hosts: a
    /// browser must not be led here by a page from elsewhere.
    pub loopback: bool,
}

/// Serves until the process ends.
pub fn serve(
    listener: TcpListener,
    targets: Targets,
    limits: Limits,
) -> std::io::Result<Infallible> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Reports are read and rendered here; the others wait their turn.
        .max_blocking_threads(2)
        .build()?;
    listener.set_nonblocking(true)?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (targets, seats) = (Arc::new(targets), Arc::new(Seats::default()));
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(_) => {
                    // Out of descriptors, most likely: wait for connections to end.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let seat = Arc::new(seats.take(limits.connections).await);
            let (number, targets) = (seat.number(), Arc::clone(&targets));
            let task = tokio::spawn(connection(stream, targets, limits, seat));
            Seat::served_by(&seats, number, task.abort_handle());
        }
    })
}

/// Answers all that comes from `stream`, as if it were the only connection.
#[cfg(fuzzing)]
pub async fn alone<S>(stream: S, targets: Arc<Targets>, limits: Limits)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let seat = Arc::new(Seats::default()).take(1).await;
    connection(stream, targets, limits, Arc::new(seat)).await;
}

async fn connection<S>(stream: S, targets: Arc<Targets>, limits: Limits, seat: Arc<Seat>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let asked = Arc::clone(&seat);
    let service = service_fn(move |request| {
        answer(request, Arc::clone(&targets), limits, Arc::clone(&asked))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_headers(MOST_HEADERS)
        .max_buf_size(MOST_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    if timeout(CONNECTION_TIME, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        // Whoever has not taken the answer by then will not.
        let _ = timeout(LAST_TIME, connection).await;
    }
}

type Answer = Response<Full<Bytes>>;

fn answer(
    request: Request<Incoming>,
    targets: Arc<Targets>,
    limits: Limits,
    seat: Arc<Seat>,
) -> impl Future<Output = Result<Answer, Infallible>> {
    let asked = Asked::of(&request, limits);
    async move {
        let asked = match asked {
            Ok(asked) => asked,
            Err(refusal) => return Ok(*refusal),
        };
        seat.works();
        let work = tokio::task::spawn_blocking(move || asked.answer(&targets, limits));
        let answer = work.await;
        seat.waits();
        Ok(answer.unwrap_or_else(|_| {
            plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the report could not be made\n",
            )
        }))
    }
}

/// A request that makes sense.
struct Asked {
    page: Page,
    target: usize,
    format: Format,
}

#[derive(Clone, Copy)]
enum Page {
    Index,
    Metrics,
    Healthy,
    Heap,
    Containers,
}

impl Asked {
    fn of(request: &Request<Incoming>, limits: Limits) -> Result<Asked, Box<Answer>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refusal = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            refusal
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Err(Box::new(refusal));
        }
        let header = |name| {
            request
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        // A host that is no text names nobody; where there are two, either could be meant.
        let mut hosts = request.headers().get_all(HOST).iter();
        let named = hosts.all(|host| host.to_str().is_ok_and(is_loopback));
        if limits.loopback && !(named && request.uri().host().is_none_or(is_loopback)) {
            return Err(Box::new(plain(
                StatusCode::FORBIDDEN,
                "this server answers to localhost alone\n",
            )));
        }
        let page = match request.uri().path() {
            "/" => Page::Index,
            "/metrics" => Page::Metrics,
            "/healthz" => Page::Healthy,
            "/debug/pprof/heap" | "/debug/pprof/allocs" => Page::Heap,
            "/debug/pprof/mapgrow" => Page::Containers,
            _ => {
                let text = "not here; / lists what is\n";
                return Err(Box::new(plain(StatusCode::NOT_FOUND, text)));
            }
        };
        let query = request.uri().query().unwrap_or_default();
        let target = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("target="));
        let target = match target.map(str::parse) {
            None => 0,
            Some(Ok(target)) => target,
            Some(Err(_)) => {
                let text = "target= takes the number of a target, as / lists them\n";
                return Err(Box::new(plain(StatusCode::BAD_REQUEST, text)));
            }
        };
        let open =
            header(ACCEPT).is_some_and(|accept| accept.contains("application/openmetrics-text"));
        Ok(Asked {
            page,
            target,
            format: if open {
                Format::OpenMetrics
            } else {
                Format::Text
            },
        })
    }

    fn answer(&self, targets: &Targets, limits: Limits) -> Answer {
        let profile = |bytes: Option<Bytes>, name: &str| match bytes {
            Some(bytes) => {
                let mut answer = content("application/octet-stream", bytes);
                let name = format!("attachment; filename=\"{name}.pb.gz\"");
                if let Ok(value) = HeaderValue::from_str(&name) {
                    answer.headers_mut().insert("content-disposition", value);
                }
                answer
            }
            None => plain(
                StatusCode::NOT_FOUND,
                "there is no such profile: the target may be a \
                          saved report, which has containers alone\n",
            ),
        };
        match self.page {
            Page::Healthy => plain(StatusCode::OK, "ok\n"),
            Page::Index => {
                let readings = (0..targets.len())
                    .filter_map(|at| targets.reading(at))
                    .collect::<Vec<_>>();
                content("text/html; charset=utf-8", page::index(&readings).into())
            }
            Page::Metrics => {
                let readings = (0..targets.len())
                    .filter_map(|at| targets.reading(at))
                    .collect::<Vec<_>>();
                let text = metrics::render(&readings, limits.sites, self.format);
                content(self.format.content_type(), text.into())
            }
            Page::Heap => {
                let bytes = targets
                    .heap(self.target)
                    .map(|bytes| Bytes::from(bytes.to_vec()));
                profile(bytes, "heap")
            }
            Page::Containers => {
                profile(targets.containers(self.target).map(Bytes::from), "mapgrow")
            }
        }
    }
}

/// Whether a Host header names this machine's loopback.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let address = name
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| address.is_loopback());
    address || name.eq_ignore_ascii_case("localhost")
}

fn plain(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = content(
        "text/plain; charset=utf-8",
        Bytes::from_static(text.as_bytes()),
    );
    *answer.status_mut() = status;
    answer
}

fn content(kind: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    for (name, value) in [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'",
        ),
    ] {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in [
            "localhost",
            "LOCALHOST:9464",
            "127.0.0.1:80",
            "[::1]:80",
            "127.9.9.9",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "example.org",
            "127.0.0.1.example.org",
            "localhost.example.org:80",
            "10.0.0.1",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
