/** Every text of the explorer page that is ours. A key missing in one language does not compile. */

import type { Language } from "../language";

const en = {
  title: "API explorer",
  pageTitle: "CMDB API explorer",
  language: "Language",
  token: "API token",
  tokenNone: "No token",
  tokenUntried: "Token set",
  tokenAccepted: "Token accepted",
  tokenRefused: "Token refused",
  tokenPlaceholder: "Paste an API token",
  tokenUse: "Use token",
  tokenForget: "Forget",
  tokenWhy: "Every request needs a token. It is kept in this browser tab only, until the tab is closed.",
  tokenWhence: "The first start wrote one to admin-token in the data directory; more:",
  tokenRefusedWhy: "The service refused this token: it is mistyped, expired or revoked. Paste another one.",
  exampleFindServers: "Servers, the first ten by name",
  exampleSearch: "Anything that mentions a word",
  exampleDependents: "What needs this item, two steps away",
  exampleWhatIf: "What would happen if these items failed",
  exampleHistory: "The latest revisions of everything",
  exampleRevisionFeed: "Follow changes as they happen (a subscription)",
  exampleRun: "Run: Ctrl+Enter. Schema: the book on the left.",
};

const zh: Record<keyof typeof en, string> = {
  title: "API 浏览器",
  pageTitle: "CMDB API 浏览器",
  language: "语言",
  token: "API 令牌",
  tokenNone: "未设置令牌",
  tokenUntried: "已设置令牌",
  tokenAccepted: "令牌有效",
  tokenRefused: "令牌被拒绝",
  tokenPlaceholder: "粘贴 API 令牌",
  tokenUse: "使用令牌",
  tokenForget: "清除",
  tokenWhy: "每个请求都需要令牌。令牌只保存在当前浏览器标签页中，关闭标签页后即清除。",
  tokenWhence: "首次启动时已在数据目录的 admin-token 文件中写入一个令牌；创建更多令牌请运行：",
  tokenRefusedWhy: "服务拒绝了此令牌：可能输入有误、已过期或已撤销。请粘贴另一个令牌。",
  exampleFindServers: "按名称排序的前十台服务器",
  exampleSearch: "全文搜索",
  exampleDependents: "两步之内依赖此配置项的对象",
  exampleWhatIf: "如果这些配置项发生故障会怎样",
  exampleHistory: "最近的修订记录",
  exampleRevisionFeed: "实时跟踪变更（订阅）",
  exampleRun: "按 Ctrl+Enter 运行；点左侧书本图标查看模式。",
};

export type Texts = Readonly<Record<keyof typeof en, string>>;

export const TEXTS: Readonly<Record<Language, Texts>> = { en, "zh-CN": zh };
